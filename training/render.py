"""Rendered plates: layouts of the US and Canada, Europe, Brazil and others, in gray, 128 px high."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training import bluebird, vocabulary
from training.data import pictures_in, read_gray
from training.dies import Die, die
from training.fonts import fonts
from training.glyphs import mask, put
from training.grounds import PLATE_HEIGHT, field, over_design
from training.regions import OTHER, SLOGANS, STATES
from training.signs import sign
from training.small_print import Row, SmallPrint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.data import Gray
    from training.glyphs import Canvas

NARROW_GLYPHS = "1I"
BLUEBIRDS = 0.08  # of the US plates
DIES = 0.5  # of the US plates have characters of no font
HELD_OUT = 10  # one design in so many is kept to measure regions with


@dataclass(frozen=True, slots=True)
class Plate:
    """A rendered plate: gray [h,w], its text, lines one after the other, so many characters in the upper line."""

    image: Gray
    text: str
    upper: int
    folded: bool  # O and 0 are drawn alike
    region: str = ""  # as regions.label gives it


@dataclass(frozen=True, slots=True)
class Style:
    """How all characters of a plate look; `alike` is what O and 0 are both drawn as, if they are.

    `bars`: 1 is drawn as I, a mere bar. The serial pattern alone tells them apart, so never on vanity plates.
    """

    font: Path | Die
    alike: str
    bars: bool
    share: float
    same_width: bool

    def drawn(self, character: str) -> str:
        """The character whose shape stands on the plate."""
        if self.alike and character in "O0":
            return self.alike
        return "I" if self.bars and character == "1" else character

    def ink(self, character: str) -> NDArray[np.float32]:
        """That shape, 0..1."""
        drawn = self.drawn(character)
        return self.font.ink(drawn) if isinstance(self.font, Die) else mask(self.font, drawn)

    def label(self, text: str) -> str:
        """What a person would write down."""
        return text.replace("O", "0") if self.alike else text


class Printer:
    """Renders plates from a list of fonts and, where there are any, pictures of plate designs by state."""

    def __init__(self, *, fonts: Sequence[Path], designs: Mapping[str, Sequence[Gray]] | None = None) -> None:
        if not fonts:
            message = "no fonts: run python -m training.fonts DIR and set EDGE_AGENT_FONTS"
            raise ValueError(message)
        self._fonts = fonts
        self._small = SmallPrint(fonts)
        self._designs = designs or {}
        named = [f for f in fonts if any(k in str(f).lower() for k in ("din", "roadgeek", "condensed"))]
        self._european = named or fonts

    def plate(self, rng: np.random.Generator) -> Plate:
        """One plate of a random layout."""
        kind = rng.random()
        if kind < 0.56:
            return self.american(rng)
        if kind < 0.79:
            return self._european_plate(rng)
        return self._brazilian(rng) if kind < 0.9 else self._two_lines(rng)

    def lettering(self, canvas: Canvas, box: tuple[float, float, float, float], rng: np.random.Generator) -> None:
        """A word or two into x, y, w, h of any picture."""
        words = vocabulary.one((*vocabulary.DEALERS, *SLOGANS.values(), *STATES.values(), *vocabulary.CITIES), rng)
        words = words if rng.random() < 0.5 else words.split(" ")[0].upper()
        self._small.words(canvas, words, box, float(rng.uniform(0, 255)), rng)

    def sign(self, rng: np.random.Generator) -> Gray:
        """Lettering that is no plate, as much of it as a detector would take for one."""
        return sign(self._fonts, rng)

    def american(self, rng: np.random.Generator) -> Plate:
        """One of the US, Canada or Mexico."""
        return self._bluebird(rng) if rng.random() < BLUEBIRDS else self._state_plate(rng)

    def _bluebird(self, rng: np.random.Generator) -> Plate:
        width = int(rng.choice([256, 256, 240, 280]))
        canvas = bluebird.bluebird(width, rng)
        text = vocabulary.serial(bluebird.PATTERNS, rng)
        left = width * (bluebird.LEFT + rng.normal(0, 0.008))
        top, height = (PLATE_HEIGHT * (share + rng.normal(0, 0.01)) for share in (bluebird.TOP, bluebird.HEIGHT))
        span = width * bluebird.WIDTH
        row = Row(left, top, span, height, _tone(rng, on_dark=False), bool(rng.random() < 0.7))
        style = self._american_style(text, rng)
        self._characters(canvas, text, row, style, rng, emblems=0.0, gaps=bluebird.GAPS)
        unit = span / (len(text) + sum(bluebird.GAPS))
        self._small.year_sticker(canvas, (left + 3 * unit, bluebird.GAPS[3] * unit), row, rng)
        told = self._small.around(canvas, row, (STATES[bluebird.REGION], ""), rng)
        region = bluebird.REGION if told else "us"
        return Plate(_finish(canvas), style.label(text), len(text), bool(style.alike), region)

    def _state_plate(self, rng: np.random.Generator) -> Plate:
        width = int(rng.choice([256, 256, 256, 256, 240, 280, 300]))
        region = str(rng.choice(["us", "ca", OTHER], p=[0.91, 0.05, 0.04]))  # the others are Mexico's
        region = vocabulary.one(tuple(STATES), rng) if region == "us" else region
        designs = self._designs.get(region, ())
        designed = bool(designs) and rng.random() < 0.6
        if designed:
            canvas, dark = over_design(designs[int(rng.integers(len(designs)))], width, rng)
        else:
            canvas, dark = field(width, rng)
        text = _american_text(region, rng)
        height = PLATE_HEIGHT * rng.uniform(0.38, 0.62)
        top = (PLATE_HEIGHT - height) / 2 + PLATE_HEIGHT * rng.uniform(-0.05, 0.09)
        fill = min(rng.uniform(0.68, 0.95), rng.uniform(0.4, 0.5) + 0.085 * len(text))
        span = width * fill
        left = (width - span) / 2 + width * rng.normal(0, 0.015)
        row = Row(left, top, span, height, _tone(rng, on_dark=dark), bool(rng.random() < 0.5))
        style = self._american_style(text, rng)
        self._characters(canvas, text, row, style, rng, emblems=0.5)
        if rng.random() < 0.1:
            self._small.edges(canvas, row, rng)
        # A design says by itself where it is from; else the name does, where it is printed and not too small.
        elsewhere = vocabulary.MEXICAN_STATES if region == OTHER else vocabulary.PROVINCES
        name = "" if designed else STATES.get(region) or vocabulary.one(elsewhere, rng)
        slogan = "" if designed else SLOGANS.get(region, "")
        told = self._small.around(canvas, row, (name, slogan), rng) or designed
        known = region if told else "us" if region in STATES else ""
        return Plate(_finish(canvas), style.label(text), len(text), bool(style.alike), known)

    def _european_plate(self, rng: np.random.Generator) -> Plate:
        width = int(rng.choice([520, 560, 600, 480, 420, 240], p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]))
        dark = bool(rng.random() < 0.1)
        base = rng.uniform(20, 80) if dark else rng.uniform(150, 250)
        canvas = np.full((PLATE_HEIGHT, width), base, np.float32)
        left = width * rng.uniform(0.03, 0.06)
        right = width - left
        if rng.random() < 0.65:
            left = self._small.band(canvas, rng) + width * rng.uniform(0.01, 0.04)
        if rng.random() < 0.15:  # France and Italy: a second band with a year or department
            band = int(width * 0.075)
            canvas[:, width - band :] = rng.uniform(30, 110)
            self._small.words(
                canvas, f"{rng.integers(1, 99):02d}", (width - band + 2, 84, band - 5, 26), 230.0, rng
            )
            right = width - band - width * 0.02
        height = PLATE_HEIGHT * rng.uniform(0.58, 0.82)
        top = (PLATE_HEIGHT - height) / 2 + rng.uniform(-4, 4)
        row = Row(left, top, right - left, height, _tone(rng, on_dark=dark), bool(rng.random() < 0.4))
        kind = rng.random()
        chosen = kind < 0.12
        if chosen:
            text = vocabulary.vanity(rng)
        elif kind < 0.45:
            text = vocabulary.district_serial(rng)
        else:
            text = vocabulary.serial(vocabulary.EU_PATTERNS, rng)
        style = self._style(text, rng, self._european, bars=0.0 if chosen else 0.3)
        self._characters(canvas, text, row, style, rng, emblems=0.3)
        if rng.random() < 0.5:
            cv2.rectangle(canvas, (2, 2), (width - 3, PLATE_HEIGHT - 3), row.tone, int(rng.integers(1, 4)))
        self._small.bolts(canvas, rng)
        return Plate(_finish(canvas), style.label(text), len(text), bool(style.alike))

    def _brazilian(self, rng: np.random.Generator) -> Plate:
        width = int(rng.choice([384, 400, 416]))
        canvas = np.full((PLATE_HEIGHT, width), rng.uniform(120, 225), np.float32)
        new = rng.random() < 0.4
        band = int(PLATE_HEIGHT * rng.uniform(0.2, 0.3))
        if new:
            canvas[:band] = rng.uniform(30, 110)
        name = "BRASIL" if new else vocabulary.one(vocabulary.CITIES, rng)
        wide = width * rng.uniform(0.25, 0.6)
        self._small.words(
            canvas, name, ((width - wide) / 2, band * 0.2, wide, band * 0.65), 240.0 if new else 40.0, rng
        )
        top = band + rng.uniform(1, 6)
        height = min(PLATE_HEIGHT * rng.uniform(0.56, 0.7), PLATE_HEIGHT - top - 4)
        left = width * rng.uniform(0.03, 0.08)
        tone = _tone(rng, on_dark=False) if rng.random() < 0.9 else 250.0
        if tone > 200:
            canvas[band if new else 0 :] *= 0.35
        row = Row(left, top, width - 2 * left, height, tone, bool(rng.random() < 0.5))
        text = vocabulary.serial(vocabulary.BR_PATTERNS, rng)
        style = self._style(text, rng, self._european, bars=0.4)
        self._characters(canvas, text, row, style, rng, emblems=0.25)
        self._small.bolts(canvas, rng)
        return Plate(_finish(canvas), style.label(text), len(text), bool(style.alike), "br")

    def _two_lines(self, rng: np.random.Generator) -> Plate:
        """Motorcycles, lorries, Pakistan, square plates of Britain and Italy: the upper line is the shorter one."""
        height = int(PLATE_HEIGHT * rng.uniform(1.2, 1.7))
        width = int(height * rng.uniform(1.0, 1.75))
        dark = bool(rng.random() < 0.15)
        canvas = np.full((height, width), rng.uniform(20, 80) if dark else rng.uniform(130, 250), np.float32)
        text = vocabulary.serial((*vocabulary.EU_PATTERNS, *vocabulary.BR_PATTERNS), rng)
        cut = min(len(text) - 2, int(rng.choice([2, 3, 3, 3, 4])))
        style = self._style(text, rng, self._european)
        edge, between = height * rng.uniform(0.04, 0.12), height * rng.uniform(0.03, 0.1)
        upper = (height - 2 * edge - between) * rng.uniform(0.34, 0.52)
        lower = height - 2 * edge - between - upper
        tone, raised = _tone(rng, on_dark=dark), bool(rng.random() < 0.4)
        small = rng.random() < 0.3  # a place, a year or a state beside the upper line
        for line, top, tall in ((text[:cut], edge, upper), (text[cut:], edge + upper + between, lower)):
            unit = tall * rng.uniform(0.5, 0.75)
            wide = min(width * (0.7 if small and top == edge else 0.94), unit * len(line))
            left = (width - wide) * (rng.uniform(0.3, 0.7) if not small else 0.08)
            row = Row(left, top, wide, tall, tone, raised)
            self._characters(canvas, line, row, style, rng, emblems=0.15)
            if small and top == edge:
                words = vocabulary.one(vocabulary.PLACES, rng)
                self._small.words(
                    canvas, words, (left + wide + 4, top, width - left - wide - 8, tall * 0.4), tone, rng
                )
        if rng.random() < 0.5:
            cv2.rectangle(canvas, (2, 2), (width - 3, height - 3), tone, int(rng.integers(1, 4)))
        self._small.bolts(canvas, rng)
        return Plate(_finish(canvas), style.label(text), cut, bool(style.alike))

    def _american_style(self, text: str, rng: np.random.Generator) -> Style:
        """A font's characters, or those of dies, whose O and 0 are alike."""
        if rng.random() >= DIES:
            return self._style(text, rng, self._fonts)
        alike = "0" if "O" in text or "0" in text else ""
        return Style(font=die(rng), bars=False, alike=alike, share=rng.uniform(0.7, 0.88), same_width=False)

    def _style(self, text: str, rng: np.random.Generator, preferred: Sequence[Path], *, bars: float = 0.0) -> Style:
        fonts = preferred if rng.random() < 0.7 else self._fonts
        font = fonts[int(rng.integers(len(fonts)))]
        folded = rng.random() < 0.3 and ("O" in text or "0" in text)
        return Style(
            font=font,
            bars=rng.random() < bars and "mono" not in font.name,  # whose I has serifs
            alike=("0" if rng.random() < 0.5 else "O") if folded else "",
            share=rng.uniform(0.74, 0.96),
            same_width=bool(rng.random() < 0.5),
        )

    def _characters(
        self,
        canvas: Canvas,
        text: str,
        row: Row,
        style: Style,
        rng: np.random.Generator,
        *,
        emblems: float,
        gaps: Sequence[float] = (),
    ) -> None:
        """Print the text into the row."""
        gaps = gaps or _gaps(len(text), rng)
        unit = row.width / (len(text) + sum(gaps))
        x = row.left
        for gap, character in zip(gaps, (*text, ""), strict=True):
            if gap > 0.35 and rng.random() < emblems:
                self._small.between(canvas, (x, gap * unit), row, rng)
            x += gap * unit
            if not character:
                break
            ink = style.ink(character)
            wide = unit * style.share
            if character in NARROW_GLYPHS:
                natural = ink.shape[1] / ink.shape[0] * row.height
                wide = min(wide, natural if not style.same_width else max(natural, wide * 0.55))
            put(canvas, ink, (x + (unit - wide) / 2, row.top, wide, row.height), row.tone, raised=row.raised)
            x += unit


def printer(folder: Path, font_folder: str | None) -> Printer:
    """One that has the fonts there are, and the designs of a labelled folder."""
    files = fonts(Path(font_folder) if font_folder else None)
    designs: dict[str, list[Gray]] = {}
    for k, (picture, code) in enumerate(_designs(folder)):
        if k % HELD_OUT:
            designs.setdefault(code, []).append(read_gray(picture))
    return Printer(fonts=files, designs=designs)


def held_out_designs(folder: Path) -> list[tuple[Path, str]]:
    """The designs that are not rendered over, and their states."""
    return _designs(folder)[::HELD_OUT]


def _designs(folder: Path) -> list[tuple[Path, str]]:
    return [(p, f"us-{state.name}") for state in sorted((folder / "designs").glob("*")) for p in pictures_in(state)]


def _american_text(region: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.12:
        return vocabulary.vanity(rng)
    if kind < 0.27:
        return vocabulary.scrambled(rng)
    if kind < 0.75 and region in STATES:
        return vocabulary.state_serial(region, rng)
    return vocabulary.serial(vocabulary.MX_PATTERNS if region == OTHER else vocabulary.US_PATTERNS, rng)


def _tone(rng: np.random.Generator, *, on_dark: bool) -> float:
    if on_dark:
        return float(rng.uniform(190, 255))
    return float(rng.uniform(0, 60) if rng.random() < 0.6 else rng.uniform(30, 115))


def _gaps(count: int, rng: np.random.Generator) -> list[float]:
    """Free space before each character and behind the last, in widths of one."""
    gaps = [0.0] * (count + 1)
    if rng.random() < 0.6 and count > 3:
        gaps[int(rng.integers(1, count))] = rng.uniform(0.25, 1.3)
    if rng.random() < 0.12 and count > 4:
        gaps[int(rng.integers(1, count))] = rng.uniform(0.25, 0.8)
    for end in (0, count):
        if rng.random() < 0.16:
            gaps[end] = rng.uniform(0.4, 1.1)
    return gaps


def _finish(canvas: Canvas) -> Gray:
    return np.clip(canvas, 0, 255).astype(np.uint8)
