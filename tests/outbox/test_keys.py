"""Files with a key: nothing in them can be read without it, and a wrong key is told apart from damage."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.errors import OutboxError, OutboxUnusable, StateDirectoryError
from edge_agent.outbox import Outbox, read_status
from edge_agent.outbox.file import connect
from tests.outbox.test_mending import KEY, PLATE, Plate, filled, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note

OTHER = b"x" * 32


@pytest.mark.parametrize(("start", "size"), [(50 * 4096, 3 * 4096), (100, 4000), (0, 4096)])
def test_a_damaged_plain_outbox_that_gets_a_key_is_salvaged_and_nothing_stays_in_clear(
    path: Path, clock: Clock, start: int, size: int
) -> None:
    filled(path, clock)
    overwrite(path, start, size)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert len(outbox.take(limit=999)) > 180
    assert not any(PLATE in file.read_bytes() for file in path.parent.iterdir())


def test_a_key_for_an_outbox_that_was_salvaged_before_leaves_nothing_in_clear(path: Path, clock: Clock) -> None:
    filled(path, clock)
    overwrite(path, 50 * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER):
        assert len(kept(path)) == 1
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert len(outbox.take(limit=999)) > 190
    assert not any(PLATE in file.read_bytes() for file in path.parent.iterdir())


def test_with_a_key_no_payload_is_readable_on_disk(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        outbox.append([Plate() for _ in range(50)])
        outbox.mark_sent(range(1, 20))
        outbox.purge(older_than_s=0)
        outbox.append([Plate() for _ in range(50)])
        for file in path.parent.iterdir():
            assert PLATE not in file.read_bytes()
        assert read_status(path, key=KEY).pending == 50
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM reads")


def test_an_outbox_is_encrypted_once_there_is_a_key_and_keeps_its_reads(path: Path, clock: Clock) -> None:
    notes = filled(path, clock, count=30)
    with path.open("rb") as plain:
        with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
            assert [row.key for row in outbox.take(limit=99)] == [note.key for note in notes]
            assert outbox.append([Note()]) == (31,)
        assert not any(PLATE in file.read_bytes() for file in path.parent.iterdir())
        assert PLATE not in plain.read(), "the plain file is overwritten, not just unlinked"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (OTHER, "is encrypted with another key than that of state.key_file"),
        (None, "is encrypted, or damaged: state.key_file must name"),
    ],
)
def test_a_wrong_key_is_told_apart_from_damage(path: Path, clock: Clock, key: bytes | None, said: str) -> None:
    filled(path, clock, key=KEY)
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match=said) as caught:
        Outbox(path=path, now=clock, owner=OWNER, key=key).open()
    assert caught.value.exit_status == 78
    assert path.read_bytes() == before
    assert kept(path) == []
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 200


@pytest.mark.parametrize("mark", [None, b"", b"\xff\x00 x", b"hello", bytes(66)])
def test_a_mark_that_is_lost_is_made_again(path: Path, clock: Clock, mark: bytes | None) -> None:
    filled(path, clock, key=KEY)
    whole = path.with_suffix(".keymark").read_bytes()
    if mark is None:
        path.with_suffix(".keymark").unlink()
    else:
        path.with_suffix(".keymark").write_bytes(mark)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 200
    assert path.with_suffix(".keymark").read_bytes() == whole


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (OTHER, "does not open with the key of state.key_file, and outbox.keymark, which told whether it is"),
        (None, "is encrypted, or damaged: state.key_file must name"),
    ],
)
def test_what_may_have_another_key_is_not_put_aside_where_its_mark_is_lost(
    path: Path, clock: Clock, key: bytes | None, said: str
) -> None:
    filled(path, clock, key=KEY)
    path.with_suffix(".keymark").unlink()
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match=said):
        read_status(path, key=key)
    with pytest.raises(OutboxUnusable, match=said):
        Outbox(path=path, now=clock, owner=OWNER, key=key).open()
    assert path.read_bytes() == before
    assert kept(path) == []
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 200


def test_a_disk_that_refuses_while_encrypting_leaves_the_plain_file(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, clock, count=3)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_agent.outbox.encryption.sync", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutboxError, match="cannot be encrypted: No space left on device"):
        Outbox(path=path, now=clock, owner=OWNER, key=KEY).open()
    monkeypatch.undo()
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 3


def test_a_disk_without_room_to_encrypt_says_how_much_it_needs(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, clock, count=3)
    monkeypatch.setattr(
        "edge_agent.outbox.encryption.shutil.disk_usage", lambda _: SimpleNamespace(free=4096, total=1e9)
    )
    with pytest.raises(OutboxError, match=f"outbox {path}: encrypting it needs 1 MB free on its disk"):
        Outbox(path=path, now=clock, owner=OWNER, key=KEY).open()
    monkeypatch.undo()
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 3


def test_an_outbox_that_another_program_reads_is_encrypted_when_that_has_ended(path: Path, clock: Clock) -> None:
    filled(path, clock)
    with (
        Outbox(path=path, now=clock, owner=OWNER) as outbox,
        closing(connect(path, None, read_only=True)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM reads").fetchone()
        outbox.append([Plate()])  # stands in the log, and must not stay there
        outbox.close()
        with pytest.raises(OutboxError, match="another program is reading it, so that it cannot be encrypted yet"):
            Outbox(path=path, now=clock, owner=OWNER, key=KEY).open()
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.status().pending == 201
        assert not any(PLATE in file.read_bytes() for file in path.parent.iterdir())


def test_a_log_in_clear_is_erased_whatever_it_belongs_to(path: Path, clock: Clock) -> None:
    filled(path, clock, count=3)
    log = path.with_name(f"{path.name}.damaged-20260101T000000Z-wal")
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Plate()])
        log.write_bytes(path.with_name(f"{path.name}-wal").read_bytes())
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        damaged = log.with_name(log.name.removesuffix("-wal"))
        damaged.write_bytes(os.urandom(8192))
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY):
        assert kept(path) == [damaged]


@pytest.mark.parametrize("damage", ["a page", "room behind", "a page, another key", "a page, no key"])
def test_an_encrypted_outbox_without_its_mark_is_never_taken_for_a_plain_one(
    path: Path, clock: Clock, damage: str
) -> None:
    filled(path, clock, key=KEY)
    path.with_suffix(".keymark").unlink()
    with path.open("rb+") as file:
        file.seek(0 if damage == "room behind" else 50 * 4096, 2 if damage == "room behind" else 0)
        file.write(bytes(16 * 4096 if damage == "room behind" else 4096))
    before = path.read_bytes()
    if "key" in damage:
        with pytest.raises(OutboxUnusable):
            Outbox(path=path, now=clock, owner=OWNER, key=OTHER if "another" in damage else None).open()
        assert path.read_bytes() == before
        return
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert len(outbox.take(limit=999)) > 190
    assert [one.read_bytes() for one in kept(path)] == ([before] if damage == "a page" else [])


@pytest.mark.parametrize("left", ["empty", "absent"])
def test_a_damaged_file_in_clear_goes_at_the_first_start_with_a_key(path: Path, clock: Clock, left: str) -> None:
    filled(path, clock)
    overwrite(path, 50 * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER):
        assert len(kept(path)) == 1
    path.unlink()
    if left == "empty":
        path.touch()
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY):
        assert not any(PLATE in file.read_bytes() for file in path.parent.iterdir())


def test_a_mark_that_is_no_file_is_named(path: Path, clock: Clock) -> None:
    filled(path, clock, key=KEY)
    path.with_suffix(".keymark").unlink()
    os.mkfifo(path.with_suffix(".keymark"))
    with pytest.raises(StateDirectoryError, match=r"outbox\.keymark: is no regular file: move it away"):
        Outbox(path=path, now=clock, owner=OWNER, key=KEY).open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_makes_belongs_to_whom_the_directory_belongs(path: Path, clock: Clock) -> None:
    filled(path, clock, count=3)
    for one in (path.parent, *path.parent.iterdir()):
        os.chown(one, 65534, 65534)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        outbox.purge()
        assert {one.stat().st_uid for one in path.parent.iterdir()} == {65534}
    assert {one.stat().st_uid for one in path.parent.iterdir()} == {65534}
