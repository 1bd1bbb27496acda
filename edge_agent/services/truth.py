"""What a recording shows for certain, from a table, and what its reads are worth beside that."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.domain import Read, folded
from edge_agent.errors import TruthError

COLUMNS = ("clip", "plate", "first_visible", "last_visible")
NEAR = 0.5
"""Share of a plate's characters that a read must have in place to be a wrong read of it, not of something else."""


@dataclass(frozen=True, slots=True)
class TruePass:
    """A plate that a recording shows in these frames; text is empty where nobody can read it."""

    text: str
    first: int
    last: int

    @property
    def middle(self) -> int:
        """The frame halfway."""
        return (self.first + self.last) // 2

    def overlaps(self, read: Read) -> bool:
        first, last = read.frame_numbers
        return first <= self.last and last >= self.first


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a recording's readable plates.

    repeated: right reads of passes that were read right before. others: the rest of the reads, wrong or of nothing.
    misread: captured and not read right, with what they were read as. missed: not captured.
    """

    plates: int
    captured: int
    right: int
    others: tuple[Read, ...]
    repeated: tuple[Read, ...]
    misread: tuple[tuple[TruePass, Read], ...]
    missed: tuple[TruePass, ...]

    def __str__(self) -> str:
        return (
            f"captured {self.captured} of {self.plates}, read right {self.right} of {self.plates}, "
            f"other reads {len(self.others)}, duplicates {len(self.repeated)}"
        )


def clips(table: Path) -> list[str]:
    """The recordings that a table names. Raises TruthError with one line."""
    return sorted({row["clip"] for _, row in _rows(table)})


def load(table: Path, clip: str) -> list[TruePass]:
    """The passes of one recording, by its file's name. Raises TruthError with one line."""
    found = _rows(table)
    passes = []
    for line, row in found:
        if row["clip"] != clip:
            continue
        try:
            first, last = int(row["first_visible"]), int(row["last_visible"])
        except ValueError:
            raise TruthError(f"{table}:{line}: first_visible and last_visible should be frame numbers") from None
        if not 0 <= first <= last:
            raise TruthError(f"{table}:{line}: first_visible to last_visible should be 0 or more, and not go back")
        passes.append(TruePass(folded(row["plate"]), first, last))
    if not passes:
        named = sorted({row["clip"] for _, row in found})
        raise TruthError(f"{table}: names no {clip}, only {', '.join(named) or 'nothing'}")
    return sorted(_merged(passes), key=lambda one: one.first)


def _merged(passes: Iterable[TruePass]) -> Iterator[TruePass]:
    """Rows of one text whose frames overlap are one pass: a plate that was labelled twice is one plate."""
    last: TruePass | None = None
    for one in sorted(passes, key=lambda one: (one.text, one.first)):
        if last and last.text and last.text == one.text and one.first <= last.last:
            last = replace(last, last=max(last.last, one.last))
            continue
        if last:
            yield last
        last = one
    if last:
        yield last


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows with their line numbers; a field that is missing is empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            absent = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if absent:
                hint = "; its columns are parted by ';', not ','" if ";" in "".join(rows.fieldnames or ()) else ""
                raise TruthError(f"{table}: is no truth table: without the column {', '.join(absent)}{hint}")
            return [(rows.line_num, {name: row[name] or "" for name in COLUMNS}) for row in rows]
    except OSError as error:
        raise TruthError(f"{table}: the truth cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise TruthError(f"{table}: is no truth table: not text with commas") from None


def judge(passes: Sequence[TruePass], reads: Sequence[Read]) -> Verdict:
    """Compare reads with what a recording shows."""
    readable = [one for one in passes if one.text]
    right = [[read for read in reads if folded(read.text) == one.text and one.overlaps(read)] for one in readable]
    known, first = {id(read) for found in right for read in found}, {id(found[0]) for found in right if found}
    others = tuple(read for read in reads if id(read) not in known)
    wrong = [one for one, found in zip(readable, right, strict=True) if not found]
    taken = [(one, [r for r in others if one.overlaps(r) and _near(one.text, folded(r.text))]) for one in wrong]
    misread = tuple((one, found[0]) for one, found in taken if found)
    hits = len(readable) - len(wrong)
    return Verdict(
        plates=len(readable),
        captured=hits + len(misread),
        right=hits,
        others=others,
        repeated=tuple(read for read in reads if id(read) in known - first),
        misread=misread,
        missed=tuple(one for one, found in taken if not found),
    )


def _near(text: str, other: str) -> bool:
    """Whether one may be a wrong reading of the other, from either end."""
    ahead = sum(a == b for a, b in zip(text, other, strict=False))
    behind = sum(a == b for a, b in zip(reversed(text), reversed(other), strict=False))
    return max(ahead, behind) >= NEAR * len(text)
