"""The manifest names each file by its hash and is replaced whole."""

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from training.manifest import Entry, put, record, write_manifest

ENTRY = Entry(file="m.onnx", sha256="aa", kind="ctc", input=(64, 160), version="1", measured='"a" \\ b')


def test_hash_is_that_of_the_file_in_place(tmp_path: Path) -> None:
    source = tmp_path / "new"
    source.write_bytes(b"weights")
    (tmp_path / "m.onnx").write_bytes(b"old weights")
    digest = put(source, tmp_path / "m.onnx")
    assert digest == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()
    assert (tmp_path / "m.onnx").read_bytes() == b"weights"


def test_what_was_written_is_read_back_and_other_tables_stay(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"detector": replace(ENTRY, threshold=0.3)})
    write_manifest(tmp_path, {"reader": replace(ENTRY, charset="01", margin=0.04)})
    tables = tomllib.loads((tmp_path / "models.toml").read_text(encoding="utf-8"))
    assert tables["detector"]["threshold"] == 0.3
    assert tables["reader"]["input"] == [64, 160]
    assert tables["reader"]["measured"] == '"a" \\ b'
    assert "threshold" not in tables["reader"]


def test_measured_figures_are_written_beside_the_rest(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"reader": ENTRY})
    record(tmp_path, {"reader": "us 0.9", "detector": "not here"})
    tables = tomllib.loads((tmp_path / "models.toml").read_text(encoding="utf-8"))
    assert tables["reader"]["measured"] == "us 0.9"
    assert tables["reader"]["sha256"] == "aa"
    assert list(tables) == ["reader"]


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path, {"reader": ENTRY})
    before = (tmp_path / "models.toml").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.manifest.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_manifest(tmp_path, {"reader": replace(ENTRY, sha256="bb")})
    assert (tmp_path / "models.toml").read_bytes() == before


def test_the_shipped_files_are_those_of_the_shipped_manifest() -> None:
    folder = Path(__file__).parents[2] / "models"
    for table in tomllib.loads((folder / "models.toml").read_text(encoding="utf-8")).values():
        assert hashlib.sha256((folder / table["file"]).read_bytes()).hexdigest() == table["sha256"]
