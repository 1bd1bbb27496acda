"""The manifest of the networks, and the one way to load one: its bytes are hashed before they run."""

import hashlib
import logging
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from edge_agent.domain import ALPHABET, NOWHERE
from edge_agent.errors import ModelError

log = logging.getLogger(__name__)

MANIFEST = "models.toml"
SECTIONS = ("detector", "reader", "easyocr")

SHA256 = re.compile(r"[0-9a-fA-F]{64}")
VERSION = re.compile(r"[A-Za-z0-9._-]{1,11}")
REGION = re.compile(r"[a-z]{2}(-[a-z0-9]{1,3})?")
"""What a record can say of a network and of a region; a manifest that says more would cost reads."""

LARGEST_INPUT = 4096
DETECTOR_STEP = 32
"""A detector's sides are multiples of it, in pixels."""

Provider = Literal["cpu", "openvino", "cuda", "tensorrt"]

PROVIDERS: Mapping[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""What ONNX Runtime calls them; which of them it has depends on the package that is installed."""

UNRUNNABLE = (
    faults.Fail,
    faults.InvalidArgument,
    faults.InvalidGraph,
    faults.InvalidProtobuf,
    faults.NotImplemented,
    faults.RuntimeException,
    ValueError,
)
"""What ONNX Runtime raises for a file that is no network, or none that it can run; they share no base class."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the networks run on."""

    threads: int
    provider: Provider = "cpu"


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the manifest; input is (height, width) in pixels, measured a line for people."""

    role: str
    path: Path
    sha256: str
    kind: str
    version: str
    measured: str
    input: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DetectorModel(Model):
    """A plate detector: the confidence (0..1) from which a peak is a plate, and from which it is one if legible."""

    threshold: float
    threshold_if_read: float


@dataclass(frozen=True, slots=True)
class ReaderModel(Model):
    """A plate reader; margin is the share of the box's width and height it wants to see on each side.

    A reader may tell regions too: their codes, in the network's order, and the share (0..1) it is believed from.
    """

    charset: str
    margin: float
    regions: tuple[str, ...]
    region_from: float


@dataclass(frozen=True, slots=True)
class EasyOcrModel(Model):
    """The reader's network in the form that EasyOCR runs: weights, and beside them code and settings."""

    code_sha256: str
    settings_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which files make up the program's eyes; a directory may do without what EasyOCR runs."""

    detector: DetectorModel
    reader: ReaderModel
    easyocr: EasyOcrModel | None

    @property
    def all(self) -> tuple[Model, ...]:
        return self.detector, self.reader, *([self.easyocr] if self.easyocr else [])


class _Common(TypedDict):
    role: str
    path: Path
    sha256: str
    kind: str
    version: str
    measured: str
    input: tuple[int, int]


class _Entry:
    """One table of the manifest, read key by key with a line that names what is wrong."""

    def __init__(self, manifest: Path, role: str, table: object) -> None:
        self._where = f"{manifest}: {role}"
        self._role, self._directory = role, manifest.parent
        if not isinstance(table, Mapping):
            raise ModelError(f"{manifest}: [{role}] is missing")
        self._table = table
        self._known = {"data", "licence"}  # for people

    def common(self, *, step: int = 1) -> _Common:
        """What every model has; the sides of its input are multiples of `step` pixels."""
        return _Common(
            role=self._role,
            path=self._directory / self.text("file"),
            sha256=self.hash("sha256"),
            kind=self.text("kind"),
            version=self.like("version", VERSION, "1 to 11 letters, digits and . _ -"),
            measured=self.text("measured", "nothing"),
            input=self.size("input", step),
        )

    def refuse_others(self) -> None:
        """A key that nobody asked for is a mistake that would go unnoticed. Raises ModelError."""
        for key in self._table:
            if key not in self._known:
                raise ModelError(f"{self._where}.{key}: unknown key. Known here: {', '.join(sorted(self._known))}")

    def _get(self, key: str, default: object = None) -> object:
        self._known.add(key)
        return self._table.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or not value:
            raise ModelError(f"{self._where}.{key}: should be a text, got {value!r}")
        return value

    def like(self, key: str, pattern: re.Pattern[str], named: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise ModelError(f"{self._where}.{key}: should be {named}, got {value!r}")
        return value

    def hash(self, key: str) -> str:
        return self.like(key, SHA256, "64 digits and letters a to f").lower()

    def share(self, key: str, default: float | None = None) -> float:
        value = self._get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ModelError(f"{self._where}.{key}: should be a number from 0 to 1, got {value!r}")
        return float(value)

    def share_below(self, key: str, most: float) -> float:
        """A share that is no more than another one, which it is where it is left out."""
        value = self.share(key, most)
        if value > most:
            raise ModelError(f"{self._where}.{key}: should be {most:g} at most, as threshold is, got {value:g}")
        return value

    def size(self, key: str, step: int) -> tuple[int, int]:
        value, allowed = self._get(key), range(step, LARGEST_INPUT + 1, step)
        match value:
            case [int() as height, int() as width] if height in allowed and width in allowed:
                return height, width
        steps = f"multiples of {step} " if step > 1 else ""
        raise ModelError(
            f"{self._where}.{key}: should be [height, width] in pixels, {steps}up to {LARGEST_INPUT}, got {value!r}"
        )

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ModelError(f"{self._where}.{key}: should be a list of texts, got {value!r}")
        return tuple(value)

    def regions(self) -> tuple[str, ...]:
        codes = self.texts("regions")
        for one in codes:
            if one not in NOWHERE and not REGION.fullmatch(one):
                raise ModelError(
                    f"{self._where}.regions: {one!r} is no code such as 'us-ct', 'br', "
                    f"{' or '.join(map(repr, NOWHERE))}"
                )
        if twice := [one for one in codes if codes.count(one) > 1]:
            raise ModelError(f"{self._where}.regions: {twice[0]!r} is named twice")
        return codes

    def charset(self) -> str:
        value = self.text("charset")
        strange = sorted(set(value) - set(ALPHABET))
        if strange or len(set(value)) != len(value):
            raise ModelError(f"{self._where}.charset: should be distinct characters of {ALPHABET}, got {value!r}")
        return value


def load_manifest(directory: Path) -> Manifest:
    """Read `models.toml` of a directory. Raises ModelError with one line."""
    path = directory / MANIFEST
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}") from error
    if strange := [key for key in tables if key not in SECTIONS]:
        raise ModelError(f"{path}: {strange[0]}: unknown. Known here: {', '.join(SECTIONS)}")
    detector = _Entry(path, "detector", tables.get("detector"))
    reader = _Entry(path, "reader", tables.get("reader"))
    easyocr = _Entry(path, "easyocr", tables["easyocr"]) if "easyocr" in tables else None
    regions = reader.regions()
    region_from = reader.share("region_from", None if regions else 1.0)
    manifest = Manifest(
        detector=DetectorModel(
            **detector.common(step=DETECTOR_STEP),
            threshold=(threshold := detector.share("threshold")),
            threshold_if_read=detector.share_below("threshold_if_read", threshold),
        ),
        reader=ReaderModel(
            **reader.common(),
            charset=reader.charset(),
            margin=reader.share("margin"),
            regions=regions,
            region_from=region_from,
        ),
        easyocr=EasyOcrModel(
            **easyocr.common(),
            code_sha256=easyocr.hash("code_sha256"),
            settings_sha256=easyocr.hash("settings_sha256"),
        )
        if easyocr
        else None,
    )
    for entry in (detector, reader, easyocr):
        if entry:
            entry.refuse_others()
    return manifest


def content(model: Model) -> bytes:
    """The bytes of a network that are the ones the manifest names, as what lies beside it is. Raises ModelError."""
    if isinstance(model, EasyOcrModel):
        _named(model.path.with_suffix(".py"), model.code_sha256)
        _named(model.path.with_suffix(".yaml"), model.settings_sha256)
    return _named(model.path, model.sha256)


def _named(path: Path, expected: str) -> bytes:
    """The bytes of a file that has this hash. Raises ModelError."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    sha256 = hashlib.sha256(found).hexdigest()
    if sha256 != expected:
        raise ModelError(
            f"{path}: not the file the manifest names (sha256 {sha256[:12]}…, "
            f"expected {expected[:12]}…); restore it or correct {MANIFEST}"
        )
    return found


def open_session(
    model: Model, *, runtime: Runtime, example: tuple[str, NDArray[Any]], outputs: Sequence[tuple[str, int]]
) -> ort.InferenceSession:
    """Load a network and run it once: the first run allocates, and compiles where there is an accelerator.

    `example` is the name of its input and one it can take, `outputs` the names of its outputs and their numbers
    of dimensions. Raises ModelError where the file is missing, altered, no ONNX, of another shape, or cannot run.
    """
    network = content(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    given, image = example
    try:
        session = ort.InferenceSession(network, options, providers=_providers(runtime.provider))
        have = [(t.name, len(t.shape)) for t in (*session.get_inputs(), *session.get_outputs())]
        if have != (wanted := [(given, image.ndim), *outputs]):
            raise ModelError(f"{model.path}: a {model.role} must have {wanted} (name, dimensions), got {have}")
        session.run(None, {given: image})
    except UNRUNNABLE as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{model.path}: not a network that can be run: {reason}") from error
    return session


@cache  # so that it is said once, not for each network of each camera
def _providers(wanted: Provider) -> tuple[str, ...]:
    """The wanted provider, and the CPU for what it cannot do; the CPU alone where it is not installed."""
    cpu = PROVIDERS["cpu"]
    if wanted == "cpu":
        return (cpu,)
    if PROVIDERS[wanted] in ort.get_available_providers():
        return PROVIDERS[wanted], cpu
    log.warning("provider %r is not in the installed ONNX Runtime: the networks run on the CPU", wanted)
    return (cpu,)
