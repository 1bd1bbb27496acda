"""The whole file is encrypted by SQLCipher (AES-256, each page authenticated) where a key is configured.

Beside an encrypted file lies the mark of its key, a hash: with a wrong key SQLCipher says what it says of a damaged
file, and the two must be told apart. The file's salt stands behind it: where the first page is lost, it is too.
"""

import hashlib
import logging
import os
import zlib
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxError, OutboxUnusable
from edge_agent.outbox.file import connect, explained, is_damage, overwrite_open, sync
from edge_agent.outbox.schema import look

_log = logging.getLogger(__name__)

KEY_BYTES = 32
_SALT_BYTES = 16
_PAGE_BYTES = 4096
_PLAIN = b"SQLite format 3\0"
_LOOKED_AT_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


def key_of(path: Path, key: bytes | None) -> bytes | None:
    """The key that a file is encrypted with: the configured one, or none. Raises OutboxUnusable for others."""
    try:
        if not path.stat().st_size:
            return key
        if is_plain(path) or not (_marked(path)[0] or _is_noise(path)):
            return None
        if wrong := _why_not(path, key):
            raise OutboxUnusable(f"outbox {path}: {wrong}")
    except OSError as error:
        raise OutboxError(f"outbox {error.filename or path}: cannot be read: {error.strerror}") from None
    return key


def is_plain(path: Path) -> bool:
    """Whether a file is not encrypted. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_PLAIN)) == _PLAIN


def _why_not(path: Path, key: bytes | None) -> str | None:
    """Say why an encrypted file does not open with a key, or with none. Raises OSError.

    Where no mark is left, what may have another key is for a person: taken for damage, it would be put aside.
    """
    mark, _ = _marked(path)
    if key is None:
        return "is encrypted: state.key_file must name its key"
    if mark == _mark(key) or _opens(path, key):
        return None
    if mark:
        return "is encrypted with another key than that of state.key_file"
    return (
        f"does not open with the key of state.key_file, and {_mark_file(path).name}, which told whether it is its"
        " key, is gone: name the right key, or move the file away"
    )


def salt_of(path: Path) -> bytes | None:
    """What an encrypted file began with when it was opened last; None where nothing tells. Raises OSError."""
    _, salt = _marked(path)
    return salt


def _marked(path: Path) -> tuple[str, bytes | None]:
    """The mark of a file's key, empty without one, and the file's salt."""
    try:
        mark, *salts = _mark_file(path).read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):  # a damaged one is none
        return "", None
    try:
        (salt,) = map(bytes.fromhex, salts)
    except ValueError:
        return mark, None
    return mark, salt if len(salt) == _SALT_BYTES else None


def _is_noise(path: Path) -> bool:
    """Whether nothing of it can be packed, as of an encrypted file; one that is only damaged can be somewhere."""
    if path.stat().st_size < _PAGE_BYTES:  # too little to tell
        return False
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
        return all(
            len(zlib.compress(piece, 1)) >= len(piece)
            for piece, _ in zip(pieces, range(_LOOKED_AT_BYTES // _PIECE_BYTES), strict=False)
        )


def _opens(path: Path, key: bytes) -> bool:
    try:
        look(path, key)
    except sqlite.Error as error:
        return not is_damage(error)
    return True


def confirm(path: Path, key: bytes | None) -> None:
    """Write the mark of the key that has opened the file; a plain one has none. Raises OutboxError."""
    try:
        if key is None:
            _mark_file(path).unlink(missing_ok=True)
        elif _marked(path) != (marked := (_mark(key), _salt(path))):
            _write(_mark_file(path), f"{marked[0]} {marked[1].hex()}")
    except OSError as error:
        raise OutboxError(f"outbox {path}: the mark of its key cannot be written: {error.strerror}") from None


def _mark_file(path: Path) -> Path:
    return path.with_suffix(".keymark")


def _mark(key: bytes) -> str:
    return hashlib.sha256(b"edge-agent outbox key" + key).hexdigest()[:32]


def _salt(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SALT_BYTES)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    with beside.open("w", encoding="ascii") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def encrypt(path: Path, key: bytes) -> None:
    """Copy a sound plain file into an encrypted one, put it in its place, and overwrite it. Raises OutboxError."""
    beside = path.with_name(f"{path.name}.encrypting")
    try:
        os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with explained(path), closing(connect(path, None)) as plain:
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
    except OSError as error:
        raise OutboxError(f"outbox {path}: cannot be encrypted: {error.strerror}") from None
    _log.info("outbox %s: is encrypted from now on", path)
