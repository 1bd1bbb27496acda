"""The plots of the model card."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.data import Gray

COLOUR, OTHER_COLOUR = "#1f5fa8", "#c8622d"


def picture(name: str) -> Path:
    """A command line's picture that can be drawn. Raises ArgumentTypeError, before anything is measured."""
    formats = Figure().canvas.get_supported_filetypes()
    if (file := Path(name)).suffix.lower().removeprefix(".") not in formats:
        message = f"{name}: no format that can be drawn, such as .svg or .png"
        raise argparse.ArgumentTypeError(message)
    return file


def bands(measured: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Share read by width, by tilt and by light, side by side. Raises OSError."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    by_width, by_tilt, by_light = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    for axes, name, label in (
        (by_width, "width_px", "plate's width, pixels (bands of 20)"),
        (by_tilt, "tilt_degrees", "tilt, degrees"),
    ):
        axes.plot([float(k) for k in measured[name]], list(measured[name].values()), marker="o", color=COLOUR)
        axes.set(xlabel=label, ylim=(0, 1.03))
        axes.grid(alpha=0.3)
    by_width.set(ylabel="share read right")
    by_light.barh(list(measured["light"]), list(measured["light"].values()), color=COLOUR)
    by_light.set(xlabel="share read right", xlim=(0, 1.03))
    by_light.invert_yaxis()
    by_light.grid(axis="x", alpha=0.3)
    save(figure, file)


def reliability(measured: Mapping[str, Mapping[str, Sequence[float]]], file: Path) -> None:
    """Share right against confidence, of characters and of whole plates; a dot's area grows with their number."""
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for name, label, colour in (
        ("plate_right", "whole plate", OTHER_COLOUR), ("character_right", "character", COLOUR)
    ):  # fmt: skip
        confidence, right, count = zip(*measured[name].values(), strict=True)
        axes.plot(confidence, right, color=colour, linewidth=1, label=label)
        axes.scatter(confidence, right, s=[4 + 4 * n**0.5 for n in count], color=colour)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend()
    axes.grid(alpha=0.3)
    save(figure, file)


def failures(wrong: Mapping[str, Sequence[tuple[Gray, str, str]]], file: Path) -> None:
    """Wrong reads as pictures, a row a condition, with what the plate says and what was read. Raises OSError."""
    columns = max(map(len, wrong.values()))
    figure = Figure(figsize=(1.9 * columns, 1.15 * len(wrong)), layout="constrained")
    grid = figure.subplots(len(wrong), columns, squeeze=False)
    for row, (name, reads) in zip(grid, wrong.items(), strict=True):
        row[0].set_title(name, loc="left", fontsize=8, fontweight="bold")
        for axes in row:
            axes.axis("off")
        for axes, (image, text, said) in zip(row, reads, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, aspect="auto")
            axes.text(
                0.5,
                -0.06,
                f"{text}: {said or 'nothing'}",
                transform=axes.transAxes,
                fontsize=7,
                ha="center",
                va="top",
            )
    save(figure, file)


def save(figure: Figure, file: Path) -> None:
    """The same figures give the same file. Raises OSError."""
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
