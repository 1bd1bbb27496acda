import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from edge_agent import resources
from edge_agent.domain import Box, Detection
from edge_agent.errors import ModelError
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.models import PROVIDERS, Runtime, content, load_manifest
from edge_agent.vision.reader import CtcReader


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the shipped models that a test may damage."""
    return shutil.copytree(resources.path("models"), tmp_path / "models")


def replace_line(models: Path, table: str, key: str, line: str) -> None:
    path = models / "models.toml"
    head, _, tail = path.read_text().partition(f"[{table}]")
    lines = [line if one.startswith(f"{key} =") else one for one in tail.splitlines()]
    path.write_text(f"{head}[{table}]" + "\n".join(lines) + "\n")


def load_both(models: Path) -> None:
    manifest = load_manifest(models)
    CentreMapDetector.load(manifest.detector, runtime=Runtime(threads=1))
    CtcReader.load(manifest.reader, runtime=Runtime(threads=1))


def the_line(models: Path) -> str:
    """The one line a damaged directory is refused with."""
    with pytest.raises(ModelError) as refused:
        load_both(models)
    message = str(refused.value)
    assert "\n" not in message
    assert refused.value.exit_status == 78
    return message


def test_the_shipped_models_are_what_the_manifest_says(models: Path) -> None:
    load_both(models)


def test_an_altered_weight_file_is_refused(models: Path) -> None:
    content = bytearray((models / "reader.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (models / "reader.onnx").write_bytes(content)
    assert "not the file the manifest names" in the_line(models)


def test_a_missing_weight_file_is_named(models: Path) -> None:
    (models / "detector.onnx").unlink()
    assert the_line(models).endswith("detector.onnx: No such file or directory")


@pytest.mark.parametrize("name", ["plate.pth", "plate.py", "plate.yaml"])
def test_each_file_that_easyocr_runs_is_checked(models: Path, name: str) -> None:
    network = load_manifest(models).easyocr
    assert network is not None
    content(network)
    (models / "easyocr" / name).write_bytes(b"other")
    with pytest.raises(ModelError, match=f"{name}: not the file the manifest names"):
        content(network)
    (models / "easyocr" / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: No such file"):
        content(network)


def test_a_file_that_is_no_network_is_refused_although_its_hash_is_right(models: Path) -> None:
    (models / "reader.onnx").write_bytes(b"no network")
    replace_line(models, "reader", "sha256", f'sha256 = "{hashlib.sha256(b"no network").hexdigest()}"')
    assert "not a network that can be run" in the_line(models)


def test_a_network_of_the_other_role_is_refused(models: Path) -> None:
    digest = hashlib.sha256((models / "reader.onnx").read_bytes()).hexdigest()
    replace_line(models, "detector", "file", 'file = "reader.onnx"')
    replace_line(models, "detector", "sha256", f'sha256 = "{digest}"')
    assert "a detector must have" in the_line(models)


def test_a_charset_of_another_length_is_refused(models: Path) -> None:
    replace_line(models, "reader", "charset", 'charset = "0123456789"')
    assert "the charset of the manifest has 10" in the_line(models)


@pytest.mark.parametrize(
    ("table", "key", "line", "said"),
    [
        ("reader", "charset", 'charset = "ÄÖ"', "should be distinct characters"),
        ("reader", "charset", 'charset = "AA"', "should be distinct characters"),
        ("reader", "margin", "margin = 3", "should be a number from 0 to 1, got 3"),
        ("reader", "kind", 'kind = "attention"', "a reader of kind 'attention' is not known"),
        ("reader", "regions", 'regions = "us-ct"', "should be a list of texts, got 'us-ct'"),
        ("reader", "regions", 'regions = ["br-mercosur"]', "'br-mercosur' is no code such as 'us-ct'"),
        ("reader", "sha256", 'sha256 = "abc"', "should be 64 digits and letters a to f, got 'abc'"),
        ("reader", "version", 'version = "my first"', "1 to 11 letters, digits and . _ -, got 'my first'"),
        ("reader", "region_from", "", "region_from: should be a number from 0 to 1"),
        ("detector", "kind", 'kind = "yolo"', "a detector of kind 'yolo' is not known"),
        (
            "detector",
            "input",
            "input = [640]",
            "should be [height, width] in pixels, multiples of 32 up to 4096, got [640]",
        ),
        ("detector", "input", "input = [1000000, 640]", "up to 4096, got [1000000, 640]"),
        ("detector", "threshold", 'threshold = "high"', "should be a number from 0 to 1, got 'high'"),
        ("detector", "input", "input = [384, 650]", "in pixels, multiples of 32 up to 4096, got [384, 650]"),
        (
            "detector",
            "threshold_if_read",
            "threshold_if_read = 0.6",
            "should be 0.5 at most, as threshold is, got 0.6",
        ),
        ("reader", "regions", 'regions = ["us-ct", "br", "us-ct"]', "reader.regions: 'us-ct' is named twice"),
        ("reader", "version", 'version = "1"\n[raeder]', "raeder: unknown. Known here: detector, reader, easyocr"),
        ("detector", "file", "file = 7", "should be a text, got 7"),
        ("detector", "file", "", "should be a text, got None"),
        (
            "detector",
            "threshold",
            "treshold = 0.5\nthreshold = 0.5",
            "detector.treshold: unknown key. Known here: ",
        ),
        ("reader", "margin", "margin = 0.04\ncolour = 3", "reader.colour: unknown key"),
    ],
)
def test_a_wrong_manifest_entry_is_named(models: Path, table: str, key: str, line: str, said: str) -> None:
    replace_line(models, table, key, line)
    assert said in the_line(models)


def test_a_missing_table_is_named(models: Path) -> None:
    (models / "models.toml").write_text("[detector]\nfile = 'x'\n")
    assert "should be a text" in the_line(models) or "is missing" in the_line(models)


def test_a_broken_manifest_is_one_line(models: Path) -> None:
    (models / "models.toml").write_text("[detector\n")
    assert "models.toml" in the_line(models)


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    assert "No such file or directory" in the_line(tmp_path / "nowhere")


def test_a_provider_that_is_not_installed_is_one_warning_and_the_cpu(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert PROVIDERS["tensorrt"] not in ort.get_available_providers()
    manifest, runtime = load_manifest(models), Runtime(threads=1, provider="tensorrt")
    CentreMapDetector.load(manifest.detector, runtime=runtime)
    reader = CtcReader.load(manifest.reader, runtime=runtime)
    assert [record.message for record in caplog.records] == [
        "provider 'tensorrt' is not in the installed ONNX Runtime: the networks run on the CPU"
    ]
    assert reader.read(np.zeros((40, 90), np.uint8), [Detection(box=Box(0, 0, 90, 40), confidence=1.0)])
