"""The manifest names each file by its hash and is replaced whole."""

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from training.data import DataError
from training.manifest import Entry, put, record, write_manifest

ENTRY = Entry(file="m.onnx", sha256="aa", kind="ctc", input=(64, 160), version="1", measured='"a" \\ b')


def made(folder: Path) -> Path:
    """New models, not yet in place."""
    (folder / "easyocr").mkdir(parents=True)
    for name in ("m.onnx", "models.toml", "easyocr/plate.pth"):
        (folder / name).write_bytes(b"new " + name.encode())
    return folder


def test_all_files_are_put_in_place(tmp_path: Path) -> None:
    put(made(tmp_path / "made"), tmp_path / "models")
    found = sorted(str(one.relative_to(tmp_path / "models")) for one in (tmp_path / "models").rglob("*.*"))
    assert found == ["easyocr/plate.pth", "m.onnx", "models.toml"]
    assert (tmp_path / "models/m.onnx").read_bytes() == b"new m.onnx"


def test_where_one_cannot_be_written_all_stay_and_nothing_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("m.onnx", "models.toml"):
        (models / name).write_bytes(b"old")
    synced = iter([None, OSError(28, "No space left on device")])

    def fsync(_: int) -> None:
        if fault := next(synced):
            raise fault

    monkeypatch.setattr("training.files.os.fsync", fsync)
    with pytest.raises(DataError, match=r"cannot be written: No space left on device; what was there stays"):
        put(made(tmp_path / "made"), models)
    assert {one.name: one.read_bytes() for one in models.rglob("*") if one.is_file()} == {
        "m.onnx": b"old", "models.toml": b"old",
    }  # fmt: skip


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

    monkeypatch.setattr("training.files.os.fsync", fail)
    with pytest.raises(DataError, match="No space"):
        write_manifest(tmp_path, {"reader": replace(ENTRY, sha256="bb")})
    assert (tmp_path / "models.toml").read_bytes() == before


def test_the_shipped_files_are_those_of_the_shipped_manifest() -> None:
    folder = Path(__file__).parents[2] / "models"
    for table in tomllib.loads((folder / "models.toml").read_text(encoding="utf-8")).values():
        assert hashlib.sha256((folder / table["file"]).read_bytes()).hexdigest() == table["sha256"]
