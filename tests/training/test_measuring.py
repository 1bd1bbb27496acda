"""What measures the networks says in one line what is wrong, before it measures."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs PyTorch (the training extra)")
pytest.importorskip("onnx", reason="export needs onnx (the training extra)")
pytest.importorskip("matplotlib", reason="the plots need matplotlib (the training extra)")

from training import bands, evaluate

HEADER = "image,x,y,w,h,text\n"


def said(
    main: Callable[[], int], *arguments: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit status and what a person reads."""
    monkeypatch.setattr(sys, "argv", ["measure", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        sys.exit(main())
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(("main", "option"), [(bands.main, "--plot"), (bands.main, "--failures")])
def test_a_picture_that_cannot_be_drawn_is_refused_first(
    main: Callable[[], int], option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, err = said(main, option, "x.foo", monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert f"argument {option}: x.foo: no format that can be drawn, such as .svg or .png" in err


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (None, ": No such file or directory"),
        (HEADER, ": no rows"),
        ("image,x,y,w\n", ": column missing: h"),
        (HEADER + "us/a.jpg,1,2,wide,4,A\n", ":2: x, y, w and h should be numbers"),
        (HEADER + "us/a.jpg,1,2\n", ":2: x, y, w and h should be numbers"),
    ],
)
def test_a_set_that_cannot_be_measured_is_one_line(
    tmp_path: Path,
    table: str | None,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "eval").mkdir()
    if table is not None:
        (tmp_path / "eval/us.csv").write_text(table, encoding="utf-8")
    status, err = said(evaluate.main, "us", "--data", tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert (status, err) == (1, f"{tmp_path}/eval/us.csv{line}\n")
