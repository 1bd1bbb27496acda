"""How the outbox's file is taken and given back."""

import errno
import os
from pathlib import Path

import pytest

from edge_agent.errors import OutboxError, StateDirectoryError
from edge_agent.outbox import Outbox, read_status
from tests.outbox.test_outbox import OWNER, Clock, Note

DESCRIPTORS = Path("/proc/self/fd")


@pytest.mark.parametrize("name", ["outbox.db-wal", "outbox.db-shm", "outbox.lock"])
@pytest.mark.parametrize("is_link", [True, False])
def test_what_is_no_file_in_the_place_of_one_of_sqlites_is_for_a_person(
    path: Path, clock: Clock, name: str, is_link: bool
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
    there, elsewhere = path.with_name(name), path.with_name("elsewhere")
    there.rename(elsewhere)
    if is_link:
        there.symlink_to(elsewhere)
    else:
        os.mkfifo(there)
    outbox = Outbox(path=path, now=clock, owner=OWNER)
    with pytest.raises(StateDirectoryError, match=rf"{name}: is no regular file: move it away"):
        outbox.open()
    with pytest.raises(StateDirectoryError, match=rf"{name}: is no regular file: move it away"):
        read_status(path)
    elsewhere.replace(there)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (2,)


NAMES = [
    "outbox.db-wal", "outbox.db-journal", "outbox.keymark", "outbox.db.salvaged",
    "outbox.db.salvaging", "outbox.db.mending", "outbox.db.encrypting",
]  # fmt: skip


def test_a_link_in_the_outboxs_place_is_named(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    path.symlink_to(path.with_name("elsewhere.db"))
    with pytest.raises(StateDirectoryError, match=r"outbox\.db: is a link, .*: let state"):
        Outbox(path=path, now=clock, owner=OWNER).open()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_beside_an_empty_outbox_is_for_a_person(path: Path, clock: Clock, name: str) -> None:
    path.parent.mkdir()
    path.touch()
    os.mkfifo(path.with_name(name))
    with pytest.raises(StateDirectoryError, match=rf"{name}: is no regular file: move it away"):
        Outbox(path=path, now=clock, owner=OWNER).open()


def test_an_index_that_cannot_be_looked_into_is_one_line_and_leaves_nothing_open(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path, _opened: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("edge_agent.outbox.room._mapped", refused)
    before = len(list(DESCRIPTORS.iterdir()))
    with pytest.raises(OutboxError, match=r"outbox\.db: cannot be opened: Too many open files"):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert len(list(DESCRIPTORS.iterdir())) == before


@pytest.mark.parametrize("what", ["a pipe", "a link"])
def test_what_is_no_file_in_the_locks_place_is_named_and_not_waited_for(
    path: Path, clock: Clock, what: str
) -> None:
    path.parent.mkdir()
    path.touch()
    lock = path.with_suffix(".lock")
    if what == "a pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(StateDirectoryError, match=r"outbox\.lock"):
        read_status(path)
    with pytest.raises(StateDirectoryError, match=r"outbox\.lock"):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert not path.with_name("elsewhere").exists()
