"""Logs that are not an outbox's own: each is put aside, and an outbox's own log never is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.outbox import Outbox, opening, pairing, read_status
from edge_agent.outbox.file import connect, in_place
from tests.outbox.test_log import killed
from tests.outbox.test_mending import KEY, Plate, filled
from tests.outbox.test_outbox import OWNER, Clock


def log_of(path: Path) -> Path:
    return path.with_name("outbox.db-wal")


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    ("owner", "reads"), [(OWNER, 5), (OWNER, 30), (OWNER, 60), ("mpd/car-7", 5), ("mpd/car-7", 60)]
)
def test_the_log_of_another_outbox_is_put_aside(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, *, key: bytes | None, owner: str, reads: int
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append([Plate() for _ in range(30)])
    other = path.parent.with_name("other") / "outbox.db"
    killed(other, clock, key=key, appends=reads, owner=owner)
    log = path.with_name("outbox.db-wal")
    log.write_bytes(other.with_name("outbox.db-wal").read_bytes())
    with pytest.raises(OutboxDamaged, match="or another outbox's; the service puts it aside when it starts"):
        read_status(path, key=key)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == list(range(1, 31))
        assert outbox.take_gaps(limit=9) == []
        assert outbox.append([Plate()]) == (31,)
    (copy,) = path.parent.glob("outbox.db.damaged-*")
    assert copy.read_bytes() == other.with_name("outbox.db-wal").read_bytes()
    if key is None:
        Outbox(path=path, now=clock, owner=OWNER, key=KEY).open()
        assert list(path.parent.glob("outbox.db.damaged-*")) == []  # it was in clear
    said = caplog.messages[0]
    assert "the log beside it is older than the file, or another outbox's: what it holds is not sent" in said
    assert said.endswith(f"kept as {copy}")


def test_logs_that_are_put_aside_at_one_time_are_all_kept(path: Path, clock: Clock) -> None:
    for _ in range(3):
        killed(other := path.parent.with_name("other") / "outbox.db", clock, key=None, appends=5)
        log = other.with_name("outbox.db-wal").read_bytes()
        with Outbox(path=path, now=clock, owner=OWNER) as outbox:
            outbox.append([Plate()])
        path.with_name("outbox.db-wal").write_bytes(log)
        with Outbox(path=path, now=clock, owner=OWNER):
            assert any(one.read_bytes() == log for one in path.parent.glob("outbox.db.damaged-*"))
    assert len(list(path.parent.glob("outbox.db.damaged-*"))) == 3


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("has_index", [True, False])
def test_the_log_of_another_outbox_of_the_same_vehicle_is_put_aside_whatever_is_in_it(
    path: Path, clock: Clock, *, key: bytes | None, has_index: bool
) -> None:
    for one in (path, other := path.parent.with_name("other") / "outbox.db"):
        with Outbox(path=one, now=clock, owner=OWNER, key=key) as outbox:
            outbox.append([Plate() for _ in range(5)])
    killed(other, clock, key=key, appends=2)
    log_of(path).write_bytes(log_of(other).read_bytes())
    if not has_index:
        path.with_name("outbox.db-shm").unlink()
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == list(range(1, 6))
        assert outbox.append([Plate()]) == (6,)
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == log_of(other).read_bytes()


@pytest.mark.parametrize("key", [None, KEY])
def test_the_log_of_another_outbox_that_only_let_reads_go_is_put_aside(
    path: Path, clock: Clock, key: bytes | None
) -> None:
    for one in (path, other := path.parent.with_name("other") / "outbox.db"):
        with Outbox(path=one, now=clock, owner=OWNER, key=key) as outbox:
            outbox.append([Plate() for _ in range(5)])
    with Outbox(path=other, now=clock, owner=OWNER, key=key) as outbox:
        outbox.expire()  # empties the log
        outbox.mark_sent([1])
        outbox.receipted_through(1)
        foreign = log_of(other).read_bytes()
    log_of(path).write_bytes(foreign)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == list(range(1, 6))
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == foreign


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("start", [0, 40, 5000, 9000, 30_000])
def test_the_log_of_another_outbox_costs_no_read_also_where_it_is_damaged(
    path: Path, clock: Clock, start: int, *, key: bytes | None
) -> None:
    for one in (path, other := path.parent.with_name("other") / "outbox.db"):
        with Outbox(path=one, now=clock, owner=OWNER, key=key) as outbox:
            outbox.append([Plate() for _ in range(5)])
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        kept = {row.key for row in outbox.take(limit=99)}
    killed(other, clock, key=key, appends=20)
    foreign = bytearray(log_of(other).read_bytes())
    foreign[start] ^= 1
    log_of(path).write_bytes(foreign)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert {row.key for row in outbox.take(limit=99)} == kept


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("openings", [1, 3])
def test_a_log_of_an_earlier_opening_is_put_aside(
    path: Path, clock: Clock, openings: int, *, key: bytes | None
) -> None:
    killed(path, clock, key=key, appends=0)  # nothing in this log tells of the count
    early = log_of(path).read_bytes()
    for _ in range(openings):
        with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
            outbox.append([Plate()])
    log_of(path).write_bytes(early)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == list(range(1, openings + 1))
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == early


@pytest.mark.parametrize("key", [None, KEY])
def test_a_log_of_an_earlier_opening_is_put_aside_also_where_the_log_began_from_nothing(
    path: Path, clock: Clock, key: bytes | None
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        for _ in range(5):
            outbox.append([Plate()])
            outbox.purge(older_than_s=0)
        outbox.not_written(1)
        early = log_of(path).read_bytes()
    log_of(path).write_bytes(b"")
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append([Plate()])
    log_of(path).write_bytes(early)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [6]
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == early


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("left", ["as it was", "emptied", "cut off", "gone"])
@pytest.mark.parametrize("overwrites", [1, 30])
def test_an_outbox_knows_its_own_log_however_often_that_began_anew(
    path: Path, clock: Clock, *, key: bytes | None, left: str, overwrites: int
) -> None:
    pending: tuple[int, ...] = ()
    for count in range(1, 5):
        outbox = Outbox(path=path, now=clock, owner=OWNER, key=key)
        outbox.open()
        assert tuple(row.seq for row in outbox.take(limit=99)) == pending
        for _ in range(overwrites):
            outbox.append([Plate()])
            outbox.purge(older_than_s=0)
        pending = outbox.append([Plate() for _ in range(count)]) if left == "as it was" else ()
        files = {one: one.read_bytes() for one in path.parent.iterdir()}
        outbox.close()
        for one, content in files.items():
            one.write_bytes(content)
        if left == "emptied":  # and killed before it was begun again
            log_of(path).write_bytes(bytes(len(files[log_of(path)])))
        elif left == "cut off":
            log_of(path).write_bytes(b"")
        elif left == "gone":
            log_of(path).unlink()
    assert list(path.parent.glob("outbox.db.damaged-*")) == []


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("left", ["as it was", "emptied", "gone"])
def test_an_outbox_knows_its_own_log_also_where_it_could_not_be_named_anew(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, key: bytes | None, left: str
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append([Plate()])
    if left == "emptied":
        log_of(path).write_bytes(bytes(9000))
    elif left == "gone":
        log_of(path).unlink()
    with monkeypatch.context() as patched:
        patched.setattr(opening, "name_anew", Mock(side_effect=sqlite.OperationalError("database or disk is full")))
        killed(path, clock, key=key, appends=3)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [1, 2, 3, 4]
    assert list(path.parent.glob("outbox.db.damaged-*")) == []


READS = """
import sys
from pathlib import Path
from edge_agent.outbox.file import connect
connection = connect(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]) or None, read_only=bool(sys.argv[3]))
connection.execute("BEGIN")
connection.execute("SELECT COUNT(*) FROM reads").fetchone()
print("reading", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


@contextmanager
def another_program_reads(path: Path, key: bytes | None, *, read_only: bool = False) -> Iterator[None]:
    """A process in a transaction of its own, which may lock the file in the end unless it only reads."""
    reads = [sys.executable, "-c", READS, str(path), (key or b"").hex(), "1" if read_only else ""]
    with subprocess.Popen(reads, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"reading\n"
        yield
        program.stdin.close()
        assert program.wait(9) == 0


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("was", ["killed", "stopped"])
def test_a_program_that_reads_while_it_is_opened_costs_no_read(
    path: Path, clock: Clock, *, key: bytes | None, read_only: bool, was: str
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append([Plate()])
        outbox.purge(older_than_s=0)
    if was == "killed":
        killed(path, clock, key=key, appends=3)
    pending = list(range(2, 5)) if was == "killed" else []
    with another_program_reads(path, key, read_only=read_only):
        for _ in range(3):
            with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
                assert [row.seq for row in outbox.take(limit=99)] == pending
                pending += outbox.append([Plate()])
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == pending
    assert list(path.parent.glob("outbox.db.damaged-*")) == []


def test_a_log_that_another_program_has_open_is_not_put_aside(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "BUSY_S", 0.2)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Plate()])
    killed(other := path.parent.with_name("other") / "outbox.db", clock, key=None, appends=1)
    log_of(path).write_bytes(log_of(other).read_bytes())
    path.with_name("outbox.db-shm").unlink()
    with another_program_reads(path, None):
        before = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.suffix in {".db", ".db-wal"}}
        for _ in range(2):
            with pytest.raises(OutboxError, match="another program has it open: end that program"):
                Outbox(path=path, now=clock, owner=OWNER).open()
        assert before == {one: path.with_name(one).read_bytes() for one in before}
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [1]


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("log", ["as it was", "emptied", "cut off", "gone"])
def test_a_program_that_looks_before_it_is_opened_and_after_costs_no_read(
    path: Path, clock: Clock, *, key: bytes | None, read_only: bool, log: str
) -> None:
    for start in range(3):
        with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
            assert [row.seq for row in outbox.take(limit=99)] == list(range(1, 3 * start + 1))
            outbox.append([Plate()])
        if log == "emptied":
            log_of(path).write_bytes(bytes(9000))
        elif log == "cut off":
            log_of(path).write_bytes(b"")
        elif log == "gone":
            log_of(path).unlink()
        with another_program_reads(path, key, read_only=read_only):
            outbox = Outbox(path=path, now=clock, owner=OWNER, key=key)
            outbox.open()
        with another_program_reads(path, key, read_only=read_only):
            outbox.append([Plate()])
            outbox.append([Plate()])
            files = {one: one.read_bytes() for one in path.parent.iterdir()}
        outbox.close()
        for one, content in files.items():  # as a kill leaves them
            one.write_bytes(content)
    assert list(path.parent.glob("outbox.db.damaged-*")) == []


def test_a_log_that_another_program_writes_into_the_file_while_it_is_waited_for_is_no_fault(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(path, clock, key=None, appends=3)
    foreign = path.with_name("outbox.db-wal").read_bytes()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        kept = [row.seq for row in outbox.take(limit=99)]
        outbox.expire()
    with Outbox(path=path, now=clock, owner=OWNER):
        pass
    log_of(path).write_bytes(foreign)
    monkeypatch.setattr(opening, "check_alone", lambda _path: log_of(path).unlink())
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == kept


@pytest.mark.parametrize("bit", [0, 13, 31])
def test_one_wrong_bit_in_the_name_costs_no_log(path: Path, clock: Clock, bit: int) -> None:
    killed(path, clock, key=None, appends=3)
    with path.open("rb+") as file:
        file.seek(68)
        name = int.from_bytes(file.read(4))
        file.seek(68)
        file.write((name ^ 1 << bit).to_bytes(4))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [1, 2, 3]
    assert list(path.parent.glob("outbox.db.damaged-*")) == []


@pytest.mark.parametrize("start", [*range(12), *range(4066, 4096)])
def test_one_wrong_bit_where_the_count_stands_costs_no_log(path: Path, clock: Clock, start: int) -> None:
    killed(path, clock, key=None, appends=3)
    with closing(connect(path, None, read_only=True)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'counter'").fetchone()
    place = 4096 * (page - 1) + start
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << start % 8]) + whole[place + 1 :])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [1, 2, 3]
        assert outbox.append([Plate()]) == (4,)
    assert list(path.parent.glob("outbox.db.damaged-*-wal")) == []


LOOKS = """
import sys
from pathlib import Path
from edge_agent.outbox.file import connect
connection = connect(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]) or None)
print(connection.execute("SELECT COUNT(*) FROM reads").fetchone()[0])
connection.close()
"""


@pytest.mark.parametrize("key", [None, KEY])
def test_another_program_that_closes_the_file_takes_no_log_away(
    path: Path, clock: Clock, key: bytes | None
) -> None:
    filled(path, clock, count=3, key=key)
    path.with_suffix(".keymark").unlink(missing_ok=True)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        files = in_place(path)
        for count in (4, 5):
            outbox.append([Plate()])
            looks = [sys.executable, "-c", LOOKS, str(path), (key or b"").hex()]
            assert subprocess.run(looks, check=True, capture_output=True, text=True).stdout == f"{count}\n"
            assert in_place(path) == files
