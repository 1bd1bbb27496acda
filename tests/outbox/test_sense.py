"""Files whose form is right and whose words are not, and files that are taken away while in use."""

from pathlib import Path

import pytest

from edge_agent.domain import GapReason
from edge_agent.errors import OutboxDamaged, OutboxUnusable
from edge_agent.outbox import Outbox, check_pages, contents
from tests.outbox.test_mending import filled, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note


@pytest.mark.parametrize(
    ("words", "bit"),
    [
        (b"quarantined", 7), (b"quarantined", 0), (b"[[5, 5]]", 4), (b"not_written", 0), (b"purged", 7),
        (OWNER.encode(), 7), (b"too large", 7), (b"appended_age_s", 7), (b"appended_age_s", 1), (b"images_due", 2),
        (b"CREATE TABLE sent", 7), (b"counter", 1), (b"held", 0),
    ],
)  # fmt: skip
def test_one_bit_of_what_small_tables_or_the_first_page_say_is_mended(
    path: Path, clock: Clock, words: bytes, bit: int
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note() for _ in range(4)])
        outbox.purge()
        outbox.append([Note() for _ in range(9)])
        outbox.quarantine(5, why="too large")
        outbox.not_written(3)
    content = path.read_bytes()
    found = [k for k in range(len(content)) if content.startswith(words, k)]
    assert found
    for place in found:
        overwrite(path, place + 1, 1, content=bytes([content[place + 1] ^ 1 << bit]))
    with pytest.raises(OutboxDamaged):
        check_pages(path)
    for _ in range(2):
        with Outbox(path=path, now=clock, owner=OWNER) as outbox:
            assert len(list(contents(path))) > 9
            assert [row.seq for row in outbox.take(limit=99)][-8:] == [6, 7, 8, 9, 10, 11, 12, 13]
            assert GapReason.DAMAGED in {one.reason for one in outbox.take_gaps(limit=99)}
            outbox.purges()
            outbox.expire()
    assert len(kept(path)) == 1


def test_a_damaged_name_of_the_owner_is_nobody_elses(path: Path, clock: Clock) -> None:
    filled(path, clock, count=20)
    place = path.read_bytes().rindex(OWNER.encode())
    overwrite(path, place, 1, content=bytes([OWNER.encode()[0] ^ 1]))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().owner == OWNER
        assert outbox.append([Note()]) == (21,)


@pytest.mark.parametrize("what", ["outbox.db", "outbox.db-wal"])
def test_what_is_taken_away_while_in_use_is_noticed_and_accounted_for(path: Path, clock: Clock, what: str) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        (path.parent / what).unlink()
        with pytest.raises(OutboxDamaged, match="was moved or deleted while in use"):
            outbox.append([Note()])
        assert outbox.status().pending == 1
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        lost = {place for one in outbox.take_gaps(limit=9) for place in one.ranges}
        assert outbox.status().pending == (not lost)
        assert not lost or lost == {(1, 10_001)}
        outbox.append([Note()])


def test_who_was_taken_over_from_is_not_taken_for_a_damaged_name(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER):
        pass
    hint = path.with_suffix(".lock").read_bytes()
    with Outbox(path=path, now=clock, owner="hpd/car-13") as outbox:
        outbox.not_written(3)
    path.with_suffix(".lock").write_bytes(hint)  # as after a power cut before it was written
    with pytest.raises(OutboxUnusable, match="of hpd/car-13, which hpd/car-12 must not deliver"):
        Outbox(path=path, now=clock, owner=OWNER).open()
