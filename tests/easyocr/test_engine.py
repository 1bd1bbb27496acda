"""EasyOCR itself, with our network and with its own: `make test-easyocr`."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_agent import resources
from edge_agent.camera.sim import plates
from edge_agent.domain import Box, Detection, Image
from edge_agent.errors import ModelError
from edge_agent.vision.easyocr import EasyOcrReader
from edge_agent.vision.models import Manifest, Runtime, load_manifest
from edge_agent.vision.reader import CtcReader

pytest.importorskip("easyocr", reason="EasyOCR is not installed: make test-easyocr")
pytestmark = pytest.mark.filterwarnings("default")  # what others' packages warn of is theirs to mend

RUNTIME = Runtime(threads=1)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(resources.path("models"))


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image, str]]:
    rng = np.random.default_rng(5)
    issued = [plates.issue(rng) for _ in range(12)]
    return [(plates.draw(plate, rng), plate.text) for plate in issued]


def whole(image: Image) -> list[Detection]:
    return [Detection(box=Box(0, 0, image.shape[1], image.shape[0]), confidence=1.0)]


def own(manifest: Manifest) -> EasyOcrReader:
    assert manifest.easyocr is not None
    return EasyOcrReader.own(network=manifest.easyocr, reader=manifest.reader, runtime=RUNTIME)


def test_our_network_reads_in_easyocr_what_it_reads_in_onnx_runtime(
    manifest: Manifest, drawn: list[tuple[Image, str]]
) -> None:
    easyocr, onnx = own(manifest), CtcReader.load(manifest.reader, runtime=RUNTIME)
    alike = right = 0
    for image, text in drawn:
        (one,), (other,) = easyocr.read(image, whole(image)), onnx.read(image, whole(image))
        alike += one.characters.text() == other.characters.text()
        right += one.characters.text().replace("O", "0") == text.replace("O", "0")
        if one.characters.text() == other.characters.text():
            assert one.characters.confidence == pytest.approx(other.characters.confidence, abs=0.2)
    assert alike >= len(drawn) - 1  # one network has whole numbers for weights
    assert right >= len(drawn) - 2


def test_several_plates_of_one_picture_keep_their_order(manifest: Manifest, drawn: list[tuple[Image, str]]) -> None:
    (first, text), (second, other) = drawn[:2]
    height, width = first.shape[:2]
    boxes = [Box(width, 0, 2 * width, height), Box(0, 0, width, height)]
    readings = own(manifest).read(np.hstack([first, second]), [Detection(box=box, confidence=1.0) for box in boxes])
    assert [one.characters.text().replace("O", "0") for one in readings] == [
        other.replace("O", "0"), text.replace("O", "0")
    ]  # fmt: skip


def test_an_altered_weight_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    models = shutil.copytree(resources.path("models"), tmp_path / "models")
    (models / "easyocr/plate.pth").write_bytes(b"anything: unpickling runs code")
    with pytest.raises(ModelError, match=r"plate\.pth: not the file the manifest names"):
        own(load_manifest(models))


def test_english_weights_that_are_not_there_are_one_line(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("easyocr.easyocr.MODULE_PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"^engine 'easyocr': Missing .*english_g2\.pth and downloads disabled$"):
        EasyOcrReader.stock(reader=manifest.reader, runtime=RUNTIME)
