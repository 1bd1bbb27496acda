"""How the outbox's file is taken and given back."""

import errno
from pathlib import Path

import pytest

from edge_agent.errors import OutboxError, StateDirectoryError
from edge_agent.outbox import Outbox
from tests.outbox.test_outbox import OWNER, Clock

DESCRIPTORS = Path("/proc/self/fd")


def test_a_link_in_the_outboxs_place_is_named(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    path.symlink_to(path.with_name("elsewhere.db"))
    with pytest.raises(StateDirectoryError, match=r"outbox\.db: is a link, .*: let state"):
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
