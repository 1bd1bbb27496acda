"""Two cameras of 1080p at 30 frames a second on this machine, the agent complete: python -m benchmarks.cameras.

Draws and records the simulated street once a camera, then plays the recordings over and over: first only decoded,
then through the whole agent with its outbox, a broker and a central store.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from benchmarks import figures, lines, machine, program
from benchmarks.options import OneLineParser
from edge_agent import host
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.camera.sim.optics import CameraModel
from edge_agent.errors import EdgeAgentError

SIZE, RATE_FPS = (1920, 1080), 30
LIMIT_S = 120.0
WARM_SHARE = 0.2
"""Of the samples of memory: what the first fifth shows is still being loaded."""


def record(path: Path, *, seconds: float, seed: int) -> None:
    """A drive as a camera's H.264 file. Raises EdgeAgentError where PyAV is missing."""
    try:
        import av  # noqa: PLC0415 - the recording alone needs it
    except ModuleNotFoundError:
        raise EdgeAgentError("recording needs PyAV: pip install -e '.[test]'") from None
    camera = SimCamera(
        name=path.stem, now=host.now, seed=seed, seconds=seconds, rate_fps=RATE_FPS, pace="fast",
        model=CameraModel.sized(*SIZE),
    )  # fmt: skip
    camera.open()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_FPS, options={"crf": "24", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in iter(camera.read, None):
            picture = av.VideoFrame.from_ndarray(frame.image, format="bgr24")
            picture.pts, picture.time_base = frame.number, Fraction(1, RATE_FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def play(what: str, seconds: float, videos: Sequence[Path]) -> lines.CamerasEnd:
    """One process that decodes, or does it all. Raises EdgeAgentError."""
    command = [sys.executable, "-m", "benchmarks.timed_cameras", str(seconds), what, *map(str, videos)]
    ran = program.run(command, name=f"the cameras ({what})", limit_s=LIMIT_S + 2 * seconds)
    if ran.exit_status or not ran.lines:
        raise EdgeAgentError(f"the cameras failed: {ran.complaint or f'exit status {ran.exit_status}'}")
    return lines.parse(ran.lines[-1], lines.CamerasEnd, printed_by="the cameras")


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def rows(decoded: lines.CamerasEnd, done: lines.CamerasEnd) -> list[figures.Row]:
    """What a table says of both runs."""
    warm = done.memory_mib[int(WARM_SHARE * len(done.memory_mib)) :] or [0.0]
    half = len(warm) // 2
    ratio = (done.cpu_s / done.seconds) / (decoded.cpu_s / decoded.seconds)
    return [
        figures.single("frames a second a camera gave", _each(done.frames, done.seconds)),
        figures.single("frames a second looked at", _each(done.processed, done.seconds)),
        figures.single("decode, ms of processor", f"{decoded.cpu_s / sum(decoded.frames) * 1e3:.2f}"),
        figures.milliseconds("detect, ms", done.detect_ms),
        figures.milliseconds("read, ms", done.read_ms),
        figures.milliseconds("compare, follow, fuse, ms", done.follow_ms),
        figures.milliseconds("commit, ms", done.commit_ms),
        figures.single("commit, 99th percentile, ms", f"{percentile(done.commit_ms, 0.99):.0f}"),
        figures.single("reads", str(len(done.delay_s))),
        figures.single("last sight to commit, median, s", f"{percentile(done.delay_s, 0.5):.2f}"),
        figures.single("last sight to commit, 99th percentile, s", f"{percentile(done.delay_s, 0.99):.2f}"),
        figures.single("processor, of one core", f"{done.cpu_s / done.seconds:.2f}"),
        figures.single("only decoding", f"{decoded.cpu_s / decoded.seconds:.2f}"),
        figures.single("all of it / only decoding", f"{ratio:.2f}"),
        figures.single("memory, first and second half, MiB", f"{_mean(warm[:half])}, {_mean(warm[half:])}"),
        figures.single("memory, most, MiB", f"{max(warm):.0f}"),
        figures.single("reads waiting to be sent, most", str(max(done.waiting, default=0))),
    ]


def _each(counts: Sequence[int], seconds: float) -> str:
    return ", ".join(f"{count / seconds:.1f}" for count in counts)


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.0f}" if values else "-"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = OneLineParser(
        prog="python -m benchmarks.cameras",
        description="Measure the complete agent with several cameras of 1080p at 30 frames a second.",
        epilog="Example: python -m benchmarks.cameras --seconds 600",
        allow_abbrev=False,
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the agent runs (default 600)")
    parser.add_argument("--cameras", type=int, default=2, help="how many (default 2)")
    parser.add_argument("--street", type=float, default=40.0, help="length of each recording, seconds (default 40)")
    options = parser.parse_args(arguments)
    if not 1 <= options.seconds <= 86400 or not 1 <= options.street <= 3600:
        parser.error("--seconds should be 1 to 86400, --street 1 to 3600")
    if not 1 <= options.cameras <= 8:
        parser.error("--cameras should be 1 to 8")
    console = Console(width=100, highlight=False, markup=False)
    try:
        _measure(options, console)
    except EdgeAgentError as error:
        print(f"cameras: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace, console: Console) -> None:
    console.print("\n".join(machine.describe()), soft_wrap=True)
    console.print()
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as folder:
        videos = [Path(folder) / f"camera-{number + 1}.mp4" for number in range(options.cameras)]
        for number, path in enumerate(videos):
            record(path, seconds=options.street, seed=number + 1)
        decoded = play("decode", min(options.seconds, 60.0), videos)
        done = play("agent", options.seconds, videos)
    title = f"{options.cameras} cameras, {done.seconds:.0f} s"
    figures.show(title, ["mean", "p95"], rows(decoded, done), console)


if __name__ == "__main__":
    sys.exit(main())
