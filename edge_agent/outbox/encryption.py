"""The whole file is encrypted by SQLCipher (AES-256, each page authenticated) where a key is configured."""

import hashlib
import logging
import os
from contextlib import closing
from pathlib import Path

from edge_agent.errors import OutboxError, OutboxUnusable
from edge_agent.outbox.file import connect, explained, overwrite_open, sync
from edge_agent.outbox.schema import check_ours, look

_log = logging.getLogger(__name__)

KEY_BYTES = 32
_PLAIN = b"SQLite format 3\0"


def settle(path: Path, key: bytes | None) -> None:
    """Make the file fit the key: a plain one is encrypted once there is a key. Raises OutboxUnusable for another's.

    Beside an encrypted file lies the mark of its key, a hash: with a wrong key SQLCipher says what it says of a
    damaged file, and the two must be told apart.
    """
    try:
        if is_plain(path):
            if key is not None:
                _encrypt(path, key)
        elif wrong := why_not_this_key(path, key):
            raise OutboxUnusable(f"outbox {path}: {wrong}")
    except OSError as error:
        raise OutboxError(f"outbox {path}: cannot be encrypted: {error.strerror}") from None


def is_plain(path: Path) -> bool:
    """Whether a file is not encrypted. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_PLAIN)) == _PLAIN


def why_not_this_key(path: Path, key: bytes | None) -> str | None:
    """Say, by the mark, why an encrypted file does not open with a key, or with none. Raises OSError."""
    mark = _mark_file(path).read_text(encoding="ascii").strip() if _mark_file(path).exists() else ""
    if not mark or not path.stat().st_size:
        return None
    if key is None:
        return "is encrypted: state.key_file must name its key"
    return None if mark == _mark(key) else "is encrypted with another key than that of state.key_file"


def confirm(path: Path, key: bytes | None) -> None:
    """Write the mark of the key that has opened the file; a plain one has none. Raises OutboxError."""
    try:
        if key is None:
            _mark_file(path).unlink(missing_ok=True)
        elif not _mark_file(path).exists() or _mark_file(path).read_text(encoding="ascii").strip() != _mark(key):
            _write(_mark_file(path), _mark(key))
    except OSError as error:
        raise OutboxError(f"outbox {path}: the mark of its key cannot be written: {error.strerror}") from None


def _mark_file(path: Path) -> Path:
    return path.with_suffix(".keymark")


def _mark(key: bytes) -> str:
    return hashlib.sha256(b"edge-agent outbox key" + key).hexdigest()[:32]


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    with beside.open("w", encoding="ascii") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def _encrypt(path: Path, key: bytes) -> None:
    """Copy a plain file into an encrypted one, put it in its place, and overwrite the plain one."""
    with explained(path):
        look(path, None)
    beside = path.with_name(f"{path.name}.encrypting")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with explained(path), closing(connect(path, None)) as plain:
        check_ours(plain, path)
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (version,) = plain.execute("PRAGMA user_version").fetchone()
        plain.execute("ATTACH DATABASE ? AS encrypted KEY ?", (str(beside), f"x'{key.hex()}'"))
        plain.execute("SELECT sqlcipher_export('encrypted')")
        plain.execute(f"PRAGMA encrypted.user_version = {version}")
        plain.execute("DETACH DATABASE encrypted")
    with beside.open("rb+") as new, path.open("rb+") as old:
        os.fsync(new.fileno())
        beside.replace(path)
        sync(path.parent)
        overwrite_open(old)
    _log.info("outbox %s: is encrypted from now on", path)
