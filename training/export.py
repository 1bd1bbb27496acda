"""Turn checkpoints into models/: python -m training.export --data DIR --detector DIR --reader DIR --out models.

Batch norms are folded, the networks go to ONNX in float, then to int8 with ranges measured on
training pictures (static QDQ). Each file is put in place whole; the manifest, with the hashes, last.
"""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import argparse
import copy
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor, nn

from edge_agent.vision.models import VERSION
from training import boxes, degrade, easyocr
from training.cost import blocks_of, compare, found_share, read_share
from training.data import CHARSET, DataError, data_folder, photographs, plate_texts, read_gray
from training.detector import chosen
from training.loop import load_weights, save_atomically
from training.manifest import MANIFEST, Entry, digest, put, write_manifest
from training.networks import Detector, Reader
from training.regions import CODES, REGION_FROM
from training.shapes import BLOCK, DETECTOR_INPUT, MARGIN, MIDDLE, READER_INPUT, SPREAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

log = logging.getLogger("training")

OPSET = 17
UNMEASURED = "not yet: python -m training.evaluate --record"
CALIBRATED_ON = 160  # training pictures


class ReadingHead(nn.Module):
    """The reader with softmax, as it is shipped."""

    def __init__(self, reader: nn.Module) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, plate: Tensor) -> tuple[Tensor, Tensor]:
        """[n,1,64,160] to probabilities of characters [n,80,37] and of regions [n,61]."""
        characters, regions = self.reader(plate)
        return torch.softmax(characters, -1), torch.softmax(regions, -1)


class DetectorOfBlocks(nn.Module):
    """The detector as it is shipped: whoever runs it makes the blocks, ten times as fast as the network would."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = cast("Detector", detector)

    def forward(self, blocks: Tensor) -> Tensor:
        """[n,16,H/4,W/4], centred and scaled, to the map [n,5,H/8,W/8]."""
        return self.detector.of_blocks(blocks)


class DetectorOfBytes(DetectorOfBlocks):
    """The same in float, for bytes as they are."""

    def forward(self, blocks: Tensor) -> Tensor:
        """uint8 [n,H/4,W/4,16] to the map [n,5,H/8,W/8]."""
        return super().forward((blocks.permute(0, 3, 1, 2).float() / 255 - MIDDLE) * SPREAD)


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Feeds training pictures, one at a time, to the calibration."""

    def __init__(self, name: str, images: Iterator[NDArray[np.float32]]) -> None:
        self._name, self._images = name, images

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next picture, None after the last."""
        image = next(self._images, None)
        return None if image is None else {self._name: image}


def folded(network: nn.Module) -> nn.Module:
    """A copy for inference whose batch norms are part of the convolutions before them."""
    out = copy.deepcopy(network).cpu().eval()
    for module in out.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for k in range(len(module) - 1):
            first, second = module[k], module[k + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[k] = torch.nn.utils.fusion.fuse_conv_bn_eval(first, second)
                module[k + 1] = nn.Identity()
    return out


def to_onnx(
    network: nn.Module, path: Path, sample: Tensor, names: tuple[str, ...], free: Mapping[int, str]
) -> None:
    """Write the float network of such inputs, by the names of its input and its outputs.

    `free` names the axes of the input that may vary.
    """
    torch.onnx.export(
        network, (sample,), str(path), input_names=[names[0]], output_names=list(names[1:]),
        dynamic_axes={names[0]: dict(free)}, opset_version=OPSET, dynamo=False,
    )  # fmt: skip


def to_int8(source: Path, target: Path, pictures: Pictures, kept_float: list[str]) -> None:
    """Quantize convolutions and the sums and resizings between them, a scale per channel.

    Weights of 7 bits: without VNNI the processor adds two products in 16 bits, where those of 8 bits overflow.
    """
    quantize_static(
        str(source), str(target), pictures,
        quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8, calibrate_method=CalibrationMethod.MinMax,
        op_types_to_quantize=["Conv", "Add", "Resize", "Relu"], nodes_to_exclude=kept_float,
    )  # fmt: skip


def take_bytes(path: Path, scale: float, zero: int) -> None:
    """Let a quantized network take bytes [1,h,w,c], worth (byte - zero) * scale, for its floats [1,c,h,w]."""
    model = onnx.load(path)
    graph = model.graph
    given = graph.input[0]
    first = next(n for n in graph.node if given.name in n.input)
    if first.op_type != "QuantizeLinear" or sum(given.name in n.input for n in graph.node) != 1:
        message = f"{path}: the input of the network is not quantized first"
        raise ValueError(message)
    for name, value in ((first.input[1], np.float32(scale)), (first.input[2], np.uint8(zero))):
        constant = next(c for c in graph.initializer if c.name == name)
        constant.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))
    turn = onnx.helper.make_node(
        "Transpose", [given.name], [first.output[0]], name="to_channels_first", perm=[0, 3, 1, 2]
    )
    graph.node.remove(first)
    graph.node.insert(0, turn)
    n, c, h, w = given.type.tensor_type.shape.dim
    axes = [d.dim_param or d.dim_value for d in (n, h, w, c)]
    given.CopyFrom(onnx.helper.make_tensor_value_info(given.name, onnx.TensorProto.UINT8, axes))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def ends(path: Path) -> list[str]:
    """The convolutions that stay in float: the last one of each network."""
    graph = onnx.load(path).graph
    convolutions = [n.name for n in graph.node if n.op_type == "Conv"]
    return convolutions[-1:]


def detector_pictures(folder: Path) -> Iterator[NDArray[np.float32]]:
    """Training photographs, letterboxed, evenly out of the table."""
    found = chosen(photographs(folder), validation=False)
    for one in found[:: max(1, len(found) // CALIBRATED_ON)]:
        fitted, _ = boxes.letterbox(read_gray(one.image), DETECTOR_INPUT)
        yield blocks_of(fitted)


def reader_pictures(folder: Path) -> Iterator[NDArray[np.float32]]:
    """Training plates as the training sees them."""
    rng = np.random.default_rng(3)
    found = plate_texts(folder, "train")
    for one in found[:: max(1, len(found) // (2 * CALIBRATED_ON))]:
        crop = degrade.photographed(read_gray(one.image), one.box, rng)
        yield crop[None, None].astype(np.float32) / np.float32(255)


def weights(sources: Sequence[Path], network: nn.Module) -> nn.Module:
    """The averaged weights of a training's folder, or of a .pt file; of several, their mean. Raises DataError.

    A training and what it started from lie in one valley, and the middle reads better than both (Wortsman et al.,
    2022, "Model soups").
    """
    states = []
    for source in sources:
        load_weights(network, source)
        states.append({name: one.clone() for name, one in network.state_dict().items()})
    network.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if one.dtype.is_floating_point else one
            for name, one in states[-1].items()
        }
    )
    return network.eval()


def export_detector(sources: Sequence[Path], folder: Path, version: str, pictures: Path | None) -> Entry:
    """models/detector.onnx, int8 by the ranges on training pictures of a folder, or float; its table."""
    network = folded(weights(sources, Detector()))
    height, width = (side // BLOCK for side in DETECTOR_INPUT)
    names = ("blocks", "map")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made.onnx"
        if pictures is None:
            sample = torch.zeros(1, height, width, BLOCK * BLOCK, dtype=torch.uint8)
            to_onnx(DetectorOfBytes(network), made, sample, names, {1: "rows", 2: "columns"})
        else:
            whole, sample = Path(scratch) / "float.onnx", torch.zeros(1, BLOCK * BLOCK, height, width)
            to_onnx(DetectorOfBlocks(network), whole, sample, names, {2: "rows", 3: "columns"})
            to_int8(whole, made, Pictures("blocks", detector_pictures(pictures)), ends(whole))
            compare("detector", [found_share(path, pictures) for path in (whole, made)])
            take_bytes(made, SPREAD / 255, round(MIDDLE * 255))
        shutil.copy(made, folder / "detector.onnx")
    return Entry(
        file="detector.onnx", sha256=digest(folder / "detector.onnx"), kind="centre-map", input=DETECTOR_INPUT,
        threshold=boxes.THRESHOLD, threshold_if_read=boxes.THRESHOLD_IF_READ,
        version=version, measured=UNMEASURED,
    )  # fmt: skip


def export_reader(sources: Sequence[Path], folder: Path, version: str, pictures: Path | None) -> Entry:
    """models/reader.onnx, int8 by the ranges on training pictures of a folder, or float; its table."""
    network = ReadingHead(folded(weights(sources, Reader())))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made.onnx"
        whole = made if pictures is None else Path(scratch) / "float.onnx"
        to_onnx(network, whole, torch.zeros(1, 1, *READER_INPUT), ("plate", "characters", "regions"), {0: "n"})
        if pictures is not None:
            to_int8(whole, made, Pictures("plate", reader_pictures(pictures)), [])
            compare("reader", [read_share(path, pictures) for path in (whole, made)])
        shutil.copy(made, folder / "reader.onnx")
    return Entry(
        file="reader.onnx", sha256=digest(folder / "reader.onnx"), kind="ctc", input=READER_INPUT, charset=CHARSET,
        margin=MARGIN, regions=CODES, region_from=REGION_FROM, version=version, measured=UNMEASURED,
    )  # fmt: skip


def export_easyocr(sources: Sequence[Path], folder: Path, version: str) -> Entry:
    """The same reader as EasyOCR's custom recognizer, models/easyocr; its table."""
    easyocr.write(half(weights(sources, Reader())), folder / "easyocr")
    network, code, settings = (digest(folder / "easyocr" / f"plate.{kind}") for kind in ("pth", "py", "yaml"))
    return Entry(
        file="easyocr/plate.pth", sha256=network, code_sha256=code, settings_sha256=settings,
        kind="easyocr", input=READER_INPUT, version=version,
        measured="the reader's float weights: see docs/easyocr.md",
    )  # fmt: skip


def keep(options: argparse.Namespace) -> None:
    """Weights that a later training can start from, in half precision."""
    folder = Path(__file__).with_name("weights")
    folder.mkdir(exist_ok=True)
    for name, network in (("detector", Detector()), ("reader", Reader())):
        if sources := getattr(options, name):
            save_atomically(half(weights(sources, network)), folder / f"{name}.pt")


def half(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights in half precision."""
    state = cast("Mapping[str, Tensor]", network.state_dict())
    return {k: v.half() if v.dtype.is_floating_point else v for k, v in state.items()}


def export(options: argparse.Namespace, made: Path, pictures: Path | None) -> dict[str, Entry]:
    """What was asked for, in an empty folder, with the manifest that the folder of models will have."""
    entries = {}
    if (options.out / MANIFEST).is_file():
        shutil.copy(options.out / MANIFEST, made)
    if options.detector:
        entries["detector"] = export_detector(options.detector, made, options.version, pictures)
    if options.reader:
        entries["reader"] = export_reader(options.reader, made, options.version, pictures)
        entries["easyocr"] = export_easyocr(options.reader, made, options.version)
    write_manifest(made, entries)
    return entries


def main() -> int:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="labelled folder; default: $EDGE_AGENT_DATA")
    for name in ("--detector", "--reader"):
        parser.add_argument(
            name, type=Path, nargs="+", help="training's folder, or weights (.pt); of several, the mean"
        )
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder of models; default: models")
    parser.add_argument("--version", default=time.strftime("%Y-%m-%d"), help="of the networks; default: today")
    parser.add_argument("--float", action="store_true", help="not int8: to see what that costs and saves")
    parser.add_argument("--keep", action="store_true", help="put the weights into training/weights too")
    options = parser.parse_args()
    if not options.detector and not options.reader:
        parser.error("nothing to export: give --detector, --reader or both")
    if not VERSION.fullmatch(options.version):
        parser.error(f"--version should be 1 to 11 letters, digits and . _ -, got {options.version!r}")
    try:
        pictures = None if options.float else data_folder(options.data)
        with tempfile.TemporaryDirectory() as scratch:  # all is made before anything is put in place
            entries = export(options, Path(scratch), pictures)
            put(Path(scratch), options.out)
        if options.keep:
            keep(options)
    except (DataError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    for name, entry in entries.items():
        log.info("%s %s", name, entry.sha256)
    return 0


if __name__ == "__main__":
    sys.exit(main())
