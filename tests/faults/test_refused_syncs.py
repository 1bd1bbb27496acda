"""Syncs that the disk refuses: what was committed before and after is there, also after a power cut."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from tests.faults.disk import Disk, operations, shim, watched
from tests.outbox.test_outbox import OWNER, Clock

ROOT = Path(__file__).parents[2]


REFUSED = """
import errno, os, signal, sys
from pathlib import Path
from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox
from edge_agent.outbox.file import connect
from tests.outbox.test_outbox import OWNER, Clock, Note
outbox = Outbox(path=Path(sys.argv[1]), now=Clock(), owner=OWNER, key=bytes.fromhex(sys.argv[2]) or None)
outbox.open()
outbox.append([Note(size=900) for _ in range(50)])
if sys.argv[4]:
    reading = connect(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]) or None, read_only=True)
    reading.execute("BEGIN")
    reading.execute("SELECT COUNT(*) FROM reads").fetchone()
for sizes in ((200,), (120, 100), (60,), (90, 60, 30)):
    for refused in sizes:
        try:
            with outbox.together():
                outbox.append([Note(size=900) for _ in range(refused)])
                Path(sys.argv[3]).write_text(f"{errno.EIO} {sys.argv[5]}")
        except OutboxError:
            pass
        else:
            sys.exit("taken")
        if sys.argv[5] == "p":
            Path(sys.argv[3]).write_text("")
    Path(sys.argv[3]).write_text("")
    outbox.append([Note(size=900)])
print(*(row.key.id for row in outbox.take(limit=999)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("letters", ["s", "p"], ids=["for a while", "one by one"])
@pytest.mark.parametrize("beside", ["", "a reader"], ids=["alone", "read meanwhile"])
@pytest.mark.parametrize("key", [b"", b"k" * 32], ids=["plain", "with a key"])
def test_what_the_log_has_of_refused_commits_is_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: bytes, beside: str, letters: str
) -> None:
    path, fault = tmp_path / "state" / "outbox.db", tmp_path / "fault"
    path.parent.mkdir()
    environment = watched(shim(tmp_path), path.parent, fault=fault)
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, path, key.hex(), fault, beside, letters],
        check=False, cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    with Outbox(path=path, now=Clock(), owner=OWNER, key=key or None) as outbox:
        assert [str(row.key.id) for row in outbox.take(limit=999)] == done.stdout.split()
        assert outbox.take_gaps(limit=9) == []
    assert caplog.messages == []


WRITTEN_BACK = """
import errno, json, os, signal, sys
from contextlib import suppress
from pathlib import Path
from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox
from edge_agent.outbox.file import connect
from tests.outbox.test_outbox import OWNER, Clock, Note
path, key, fault, how = Path(sys.argv[1]), bytes.fromhex(sys.argv[2]) or None, Path(sys.argv[3]), sys.argv[4]
outbox = Outbox(path=path, now=Clock(), owner=OWNER, key=key)
outbox.open()
if how == "commits":
    outbox._session.room._log_frames = outbox._session.room._written_from = 20
def write_back():
    outbox.append([Note(size=900)])
    if how == "commits":
        outbox.append([Note(size=900) for _ in range(100)])
    else:
        outbox.expire()
outbox.append([Note(size=900) for _ in range(150)])
outbox.append([Note(size=900) for _ in range(25)])
reading = connect(path, key, read_only=True)
reading.execute("BEGIN")
reading.execute("SELECT COUNT(*) FROM reads").fetchone()
write_back()
reading.close()
fault.write_text(f"{errno.EIO} d")
with suppress(OutboxError):
    write_back()
fault.write_text("")
for _ in range(2):
    write_back()
print(json.dumps([row.key.id.hex for row in outbox.take(limit=9999)]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("key", [b"", b"k" * 32], ids=["plain", "with a key"])
@pytest.mark.parametrize("how", ["expire", "commits"])
def test_what_went_into_the_file_before_a_refused_sync_goes_there_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, key: bytes
) -> None:
    state, fault, log = tmp_path / "state", tmp_path / "fault", tmp_path / "log"
    state.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WRITTEN_BACK, state.resolve() / "outbox.db", key.hex(), fault, how],
        check=False, cwd=ROOT, env=watched(shim(tmp_path), state, log=log, fault=fault), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stderr == ""
    disk, told = Disk({}), list(operations(log))
    for one in told:
        disk.do(one)
    assert "outbox.db" in {one.name for one in told if one.what == "F"}
    (tmp_path / "after").mkdir()
    disk.after_a_cut(random.Random(1), tmp_path / "after")
    with Outbox(path=tmp_path / "after/outbox.db", now=Clock(), owner=OWNER, key=key or None) as outbox:
        assert [row.key.id.hex for row in outbox.take(limit=9999)] == json.loads(done.stdout)
    assert caplog.messages == []
