"""Networks of one's own in place of ours, as models/README.md says: small ones, written down here."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper, save

from tests.cli.program import edge_agent

MANIFEST = """
[detector]
file = "spots.onnx"
sha256 = "{spots}"
kind = "centre-map"
input = [192, 320]
threshold = 0.5
version = "toy"

[reader]
file = "aba.onnx"
sha256 = "{aba}"
kind = "ctc"
input = [32, 96]
charset = "BA"
margin = 0.0
regions = ["us-ct", "other"]
region_from = 0.5
version = "toy"
"""


def spots(path: Path) -> None:
    """A detector that takes every white spot of 8x8 pixels for the middle of a plate of 64x32."""
    weights = np.zeros((5, 16, 2, 2), np.float32)
    weights[0] = 12 / (64 * 255)
    bias = np.array([-6, 0, 0, np.log(64 / 16), np.log(32 / 8)], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["blocks"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["floats"], ["cells"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["cells", "weights", "bias"], ["map"], strides=[2, 2]),
        ],
        "spots",
        [helper.make_tensor_value_info("blocks", TensorProto.UINT8, [1, "h", "w", 16])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 5, "y", "x"])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    write(graph, path)


def aba(path: Path) -> None:
    """A reader that reads ABA from Connecticut on everything; its classes: blank, B, A."""
    steps = np.array([[[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["plate"], ["light"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["light", "nothing"], ["none"]),
            helper.make_node("Reshape", ["none", "column"], ["rows"]),
            helper.make_node("Reshape", ["none", "cube"], ["cubes"]),
            helper.make_node("Add", ["cubes", "steps"], ["characters"]),
            helper.make_node("Add", ["rows", "shares"], ["regions"]),
        ],
        "aba",
        [helper.make_tensor_value_info("plate", TensorProto.FLOAT, ["n", 1, 32, 96])],
        [
            helper.make_tensor_value_info("characters", TensorProto.FLOAT, ["n", 4, 3]),
            helper.make_tensor_value_info("regions", TensorProto.FLOAT, ["n", 2]),
        ],
        [
            numpy_helper.from_array(np.zeros(1, np.float32), "nothing"),
            numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
            numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "cube"),
            numpy_helper.from_array(steps, "steps"),
            numpy_helper.from_array(np.array([[0.9, 0.1]], np.float32), "shares"),
        ],
    )
    write(graph, path)


def write(graph: object, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    save(model, path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    spots(tmp_path / "spots.onnx")
    aba(tmp_path / "aba.onnx")
    hashes = {
        name: hashlib.sha256((tmp_path / f"{name}.onnx").read_bytes()).hexdigest() for name in ("spots", "aba")
    }
    (tmp_path / "models.toml").write_text(MANIFEST.format(**hashes))
    return tmp_path


def test_networks_of_ones_own_find_and_read(models: Path, tmp_path: Path) -> None:
    image = np.zeros((192, 320), np.uint8)
    image[80:88, 160:168] = 255
    cv2.imwrite(str(tmp_path / "spot.png"), image)
    done = edge_agent("read", "--jsonl", "--models", models, tmp_path / "spot.png")
    assert done.stderr == ""
    (plate,) = json.loads(done.stdout)["plates"]
    assert plate["text"] == "ABA"
    assert plate["region"] == {"code": "us-ct", "confidence": 0.9}
    assert plate["box"] == pytest.approx([132, 68, 196, 100], abs=1)


def test_they_are_listed(models: Path) -> None:
    done = edge_agent("models", models)
    assert done.returncode == 0
    assert "spots.onnx: centre-map toy" in done.stdout
    assert "aba.onnx: ctc toy" in done.stdout


def test_a_count_of_regions_that_does_not_fit_is_one_line(models: Path, tmp_path: Path) -> None:
    manifest = models / "models.toml"
    manifest.write_text(manifest.read_text().replace('["us-ct", "other"]', '["us-ct"]'))
    done = edge_agent("read", "--models", models, tmp_path / "spot.png")
    assert done.returncode == 78
    assert done.stderr.endswith("aba.onnx: gives 2 regions, but the manifest names 1\n")


def test_an_input_size_that_does_not_fit_is_one_line_before_the_first_picture(models: Path, tmp_path: Path) -> None:
    manifest = models / "models.toml"
    manifest.write_text(manifest.read_text().replace("input = [32, 96]", "input = [48, 96]"))
    done = edge_agent("read", "--models", models, tmp_path / "spot.png")
    assert done.returncode == 78
    assert "aba.onnx: not a network that can be run: " in done.stderr
    assert "Expected: 32" in done.stderr
    assert len(done.stderr.splitlines()) == 1
