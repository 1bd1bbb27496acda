"""What the figures were taken on."""

import os
import platform
from importlib import metadata
from pathlib import Path


def describe() -> list[str]:
    """Processor, cores, load and versions, a line each."""
    one, five, _ = os.getloadavg()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("onnxruntime", "opencv-python-headless"))
    return [
        f"processor  {processor(Path('/proc/cpuinfo'))}, {len(os.sched_getaffinity(0))} cores",
        f"load       {one:.1f} (1 min), {five:.1f} (5 min): where it is not near 0, only ratios of one run count",
        f"versions   Python {platform.python_version()}, {versions}",
    ]


def processor(cpuinfo: Path) -> str:
    """The processor's name as the kernel has it; the architecture where it has none, as on ARM."""
    names = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
    return next((name.strip() for what, _, name in names if what.strip() == "model name"), platform.machine())
