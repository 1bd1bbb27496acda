"""Outbox files of other versions, and of other programs."""

import random
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import GapReason, Missing
from edge_agent.errors import OutboxDamaged, OutboxError, OutboxOutdated, OutboxUnusable
from edge_agent.outbox import Bounds, Outbox, check_pages, read_status
from edge_agent.outbox.file import connect
from edge_agent.outbox.schema import SCHEMA_VERSION
from tests.outbox.formats import earlier
from tests.outbox.test_mending import overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note


@pytest.mark.parametrize("version", range(4, SCHEMA_VERSION))
def test_an_outbox_of_an_earlier_format_is_taken_over_with_all_it_holds(
    path: Path, clock: Clock, version: int
) -> None:
    days_ago_ms = int((clock().utc - timedelta(days=2)).timestamp() * 1000)
    notes = earlier(path, version, count=3, appended_ms=days_ago_ms)
    with pytest.raises(OutboxOutdated, match=f"its format is {version}, an earlier one: the service takes it over"):
        read_status(path)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=3 * 86400)) as outbox:
        assert [(row.seq, row.key) for row in outbox.take(limit=9)] == [
            (seq, note.key) for seq, note in enumerate(notes, start=1)
        ]
        assert outbox.append([Note()]) == (4,)
        assert outbox.status().images == (3 if version > 4 else 0)
        assert [(gap.reason, gap.what, gap.reads) for gap in outbox.take_gaps(limit=9)] == [
            (GapReason.NOT_WRITTEN, Missing.READS, 3)
        ]

        assert outbox.expire().reads == 0
        outbox.receipted([notes[0].key])
        assert [row.key.read for row in outbox.take_images(limit=9)] == [notes[0].key.id] * (version > 4)
        clock.seconds += 1.5 * 86400
        assert outbox.expire().reads == 2
        assert [row.seq for row in outbox.take(limit=9)] == [4]
    check_pages(path)


def test_the_first_checksums_of_reads_are_taken_over_too(path: Path, clock: Clock) -> None:
    notes = earlier(path, 8, count=3, appended_ms=int(clock().utc.timestamp() * 1000))
    with closing(connect(path, None)) as old:
        old.execute("UPDATE reads SET sealed = seal(SUBSTR(sealed, 1, LENGTH(sealed) - 4), x'', '')")
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.key for row in outbox.take(limit=9)] == [note.key for note in notes]


@pytest.mark.parametrize("version", [4, 7, 8, SCHEMA_VERSION])
def test_one_wrong_bit_on_the_first_page_costs_no_read(path: Path, clock: Clock, version: int) -> None:
    if version < SCHEMA_VERSION:
        earlier(path, version, count=40, appended_ms=int(clock().utc.timestamp() * 1000))
    else:
        with Outbox(path=path, now=clock, owner=OWNER) as outbox:
            outbox.append([Note(size=600) for _ in range(40)])
    sound = path.read_bytes()
    chance = random.Random(7)
    for place in chance.sample(range(4096), 40):
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << chance.randrange(8)]) + sound[place + 1 :])
        with Outbox(path=path, now=clock, owner=OWNER) as outbox:
            outbox.resend()
            assert [row.seq for row in outbox.take(limit=99)] == list(range(1, 41)), place
            assert outbox.append([Note()]) > (40,)
            outbox.not_written(1)
            outbox.mark_sent([1])
            outbox.receipted_through(1)


@pytest.mark.parametrize("version", range(4, SCHEMA_VERSION))
def test_an_outbox_of_an_earlier_format_whose_first_page_is_lost_is_salvaged(
    path: Path, clock: Clock, version: int
) -> None:
    earlier(path, version, count=100, appended_ms=int(clock().utc.timestamp() * 1000))
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=999)] == list(range(1, 101))
        assert GapReason.DAMAGED in {one.reason for one in outbox.take_gaps(limit=9)}


@pytest.mark.parametrize("version", range(4, SCHEMA_VERSION + 1))
def test_what_was_taken_over_lies_where_a_new_file_has_it(path: Path, clock: Clock, version: int) -> None:
    if version < SCHEMA_VERSION:
        earlier(path, version, count=100, appended_ms=int(clock().utc.timestamp() * 1000))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        last = outbox.append([Note() for _ in range(100)])[-1]
        outbox.quarantine(last, why="too large")
        outbox.not_written(5)
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (last + 1,)
        reasons = {one.reason: one.reads for one in outbox.take_gaps(limit=9)}
        assert reasons.keys() == {GapReason.NOT_WRITTEN, GapReason.QUARANTINED, GapReason.DAMAGED}


@pytest.mark.parametrize(("version", "free_bytes"), [(8, 1_000_000), (12, 999_999), (SCHEMA_VERSION - 1, 0)])
def test_a_take_over_without_room_says_how_much_it_needs_and_changes_nothing(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, version: int, free_bytes: int
) -> None:
    earlier(path, version, count=2000, appended_ms=1_780_000_000_000)
    before = path.read_bytes()
    monkeypatch.setattr("edge_agent.outbox.opening.free_bytes", lambda _: free_bytes)
    told = r"to take it over from an earlier format needs \d MB free on its disk for a while: make room"
    with pytest.raises(OutboxError, match=told):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert path.read_bytes()[4096:] == before[4096:]


def test_a_take_over_that_copies_nothing_needs_little_room_and_takes_no_more(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier(path, 12, count=2000, appended_ms=1_780_000_000_000)
    monkeypatch.setattr("edge_agent.outbox.opening.free_bytes", lambda _: 1_000_000)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (2001,)
        assert path.with_name("outbox.db-wal").stat().st_size < 2_100_000


def test_a_format_that_is_too_old_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    earlier(path, 4, count=3, appended_ms=1_780_000_000_000)
    with closing(sqlite.connect(str(path))) as old:
        old.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match="its format is 3, older than any that this program takes over"):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", range(4, SCHEMA_VERSION))
def test_a_damaged_outbox_of_an_earlier_format_is_salvaged(path: Path, clock: Clock, version: int) -> None:
    earlier(path, version, count=400, appended_ms=int(clock().utc.timestamp() * 1000))
    overwrite(path, path.stat().st_size // 2 // 4096 * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        saved = [row.seq for row in outbox.take(limit=999)]
        assert len(saved) > 380
        assert outbox.status().images > (380 if version > 4 else -1)
        assert {one.reason for one in outbox.take_gaps(limit=9)} == {GapReason.NOT_WRITTEN, GapReason.DAMAGED}
        assert outbox.append([Note()]) == (401,)


@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["plain", "with a key"])
@pytest.mark.parametrize("version", [0, 3, SCHEMA_VERSION, SCHEMA_VERSION + 1])
def test_another_programs_database_is_refused_and_left_alone(
    path: Path, clock: Clock, version: int, key: bytes | None
) -> None:
    path.parent.mkdir()
    with closing(sqlite.connect(str(path))) as theirs:
        theirs.execute("CREATE TABLE songs (title TEXT)")
        theirs.execute(f"PRAGMA user_version = {version}")
    with closing(sqlite.connect(str(path))) as theirs:  # its log is still beside it, as after a crash
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("INSERT INTO songs VALUES ('one')")
        theirs.commit()
        crashed = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for name, content in crashed.items():
        (path.parent / name).write_bytes(content)
    before = path.read_bytes(), path.with_name("outbox.db-wal").read_bytes()
    for attempt in (Outbox(path=path, now=clock, owner=OWNER, key=key).open, lambda: read_status(path, key=key)):
        with pytest.raises(OutboxUnusable, match="is a database of another program"):
            attempt()
    assert (path.read_bytes(), path.with_name("outbox.db-wal").read_bytes()) == before
    assert not path.with_name("outbox.db.encrypting").exists()


@pytest.mark.parametrize("version", [*range(9), SCHEMA_VERSION ^ 1, SCHEMA_VERSION ^ 4, SCHEMA_VERSION ^ 1 << 30])
def test_a_damaged_number_of_the_format_costs_nothing(path: Path, clock: Clock, version: int) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        outbox.hold_image(1)
        outbox.not_written(3)
        outbox._session._connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(OutboxDamaged):
        read_status(path)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().pending == 1
        assert {one.reason for one in outbox.take_gaps(limit=9)} == {GapReason.NOT_WRITTEN, GapReason.DAMAGED}


def test_a_later_format_is_refused_and_kept(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        outbox._session._connection.executescript(
            f"ALTER TABLE reads ADD COLUMN more TEXT; PRAGMA user_version = {SCHEMA_VERSION + 1}"
        )
    for key in (None, b"k" * 32):
        with pytest.raises(
            OutboxUnusable, match=f"its format is {SCHEMA_VERSION + 1}, this program knows {SCHEMA_VERSION}"
        ):
            Outbox(path=path, now=clock, owner=OWNER, key=key).open()
    connection = sqlite.connect(str(path))
    assert connection.execute("SELECT COUNT(*) FROM reads").fetchone() == (1,)
    connection.close()
