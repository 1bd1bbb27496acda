"""The whole file is encrypted by SQLCipher (AES-256, each page authenticated) where a key is configured.

Beside an encrypted file lies the mark of its key, a hash: with a wrong key SQLCipher says what it says of a damaged
file, and the two must be told apart. The file's salt stands behind it: where the first page is lost, it is too.
"""

import hashlib
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxError, OutboxUnusable
from edge_agent.outbox.file import (
    PAGE_BYTES,
    PLAIN,
    SALT_BYTES,
    Connection,
    connect,
    explained,
    is_damage,
    log_of,
    overwrite,
    sync,
)
from edge_agent.outbox.log import raw_pages
from edge_agent.outbox.schema import look

_log = logging.getLogger(__name__)

KEY_BYTES = 32
_PAGES_LOOKED_AT = 4096
_TREE_PAGES, _MOST_FRAGMENTS = (2, 5, 10, 13), 60


def key_of(path: Path, key: bytes | None) -> bytes | None:
    """The key that a file is encrypted with: the configured one, or none. Raises OutboxUnusable for others.

    What may have another key is for a person: taken for damage, it would be put aside.
    """
    try:
        log = log_of(path)
        if not path.stat().st_size:
            return None if is_log_in_clear(log) else key
        if is_plain(path):
            return None
        mark, _ = _marked(path)
        if key is None and not (mark or _is_noise(path)):
            return None
        if key is not None and (mark == _mark(key) or _opens(path, key)):
            return key
        if key is not None and not mark and (_has_plain_pages(path) or is_log_in_clear(log)):
            return None
    except OSError as error:
        raise OutboxError(f"outbox {error.filename or path}: cannot be read: {error.strerror}") from None
    raise OutboxUnusable(f"outbox {path}: {_wrong(path, mark, key)}")


def _wrong(path: Path, mark: str, key: bytes | None) -> str:
    if key is None:
        return f"is encrypted, or damaged: state.key_file must name its key, or move {path.name}* away"
    if mark:
        return f"is encrypted with another key than that of state.key_file, by {_mark_file(path).name}"
    return (
        f"does not open with the key of state.key_file, and {_mark_file(path).name}, which told whether it is its"
        f" key, is gone: name the right key, or move {path.name}* away"
    )


def is_in_clear(path: Path) -> bool:
    """Whether a file, which may be damaged, is a plain outbox. Raises OSError."""
    return is_plain(path) or _has_plain_pages(path)


def is_plain(path: Path) -> bool:
    """Whether a file is not encrypted. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(PLAIN)) == PLAIN


def salt_of(path: Path) -> bytes | None:
    """What an encrypted file began with when it was opened last; None where nothing tells. Raises OSError."""
    _, salt = _marked(path)
    return salt


def _marked(path: Path) -> tuple[str, bytes | None]:
    """The mark of a file's key, empty without one, and the file's salt."""
    file = _mark_file(path)
    try:
        mark, *salts = file.read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):  # a damaged one is none
        return "", None
    try:
        (salt,) = map(bytes.fromhex, salts)
    except ValueError:
        return mark, None
    return mark, salt if len(salt) == SALT_BYTES else None


def is_log_in_clear(path: Path) -> bool:
    """Whether a log holds a page that is plain, also where SQLite would not read it. Raises OSError."""
    return path.exists() and _plain_pages(raw_pages(path)) > 0


def _pages(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for _ in range(_PAGES_LOOKED_AT):
            if len(page := file.read(PAGE_BYTES)) < PAGE_BYTES:
                return
            yield page


def _is_noise(path: Path) -> bool:
    """Whether most of its pages cannot be packed, as those of an encrypted file."""
    dense = [len(zlib.compress(page, 1)) >= PAGE_BYTES for page in _pages(path)]
    return 2 * sum(dense) > len(dense)


def _has_plain_pages(path: Path) -> bool:
    return _plain_pages(_pages(path)) > 1


def _plain_pages(pages: Iterable[bytes]) -> int:
    """How many pages say what they are; of random ones hardly one in a million seems to.

    https://www.sqlite.org/fileformat2.html#b_tree_pages
    """
    plain = 0
    for kind, free, cells, content, fragments in map(struct.Struct(">BHHHB").unpack_from, pages):
        plain += (
            kind in _TREE_PAGES and max(free, 2 * cells, content) <= PAGE_BYTES and fragments <= _MOST_FRAGMENTS
        )
    return plain


def _opens(path: Path, key: bytes) -> bool:
    try:
        look(path, key)
    except sqlite.Error as error:
        return not is_damage(error)
    return True


def confirm(path: Path, key: bytes | None, connection: Connection) -> None:
    """Write the mark of the key that has opened the file; a plain one has none. Raises OutboxError."""
    try:
        if key is None:
            _mark_file(path).unlink(missing_ok=True)
        elif _marked(path) != (marked := (_mark(key), _salt(connection))):
            _write(_mark_file(path), f"{marked[0]} {marked[1].hex()}")
    except OSError as error:
        what = "written" if key else "deleted"
        raise OutboxError(f"outbox {path}: the mark of its key cannot be {what}: {error.strerror}") from None


def _mark_file(path: Path) -> Path:
    return path.with_suffix(".keymark")


def _mark(key: bytes) -> str:
    return hashlib.sha256(b"edge-agent outbox key" + key).hexdigest()[:32]


def _salt(connection: Connection) -> bytes:
    """Of the file, which may not be opened beside its connection: to close it would end SQLite's locks on it."""
    (salt,) = connection.execute("PRAGMA cipher_salt").fetchone()
    return bytes.fromhex(salt)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    with beside.open("w", encoding="ascii") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def _check_room(path: Path) -> None:
    if shutil.disk_usage(path.parent).free < (needed := path.stat().st_size):
        mb = needed // 1_000_000 + 1
        raise OutboxError(f"outbox {path}: encrypting it needs {mb} MB free on its disk for a while: make room")


def _empty_log(plain: Connection, path: Path) -> None:
    """What the log holds would be missing in the copy, and stay in clear beside it."""
    is_busy, *_ = plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise OutboxError(
            f"outbox {path}: another program is reading it, so that it cannot be encrypted yet: end that program"
            " (edge-agent outbox export?)"
        )


def encrypt(path: Path, key: bytes) -> None:
    """Copy a sound plain file into an encrypted one, put it in its place, and overwrite it. Raises OutboxError."""
    beside = path.with_name(f"{path.name}.encrypting")
    try:
        _check_room(path)
        os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with explained(path), closing(connect(path, None)) as plain:
            _empty_log(plain, path)
            (version,) = plain.execute("PRAGMA user_version").fetchone()
            plain.execute("ATTACH DATABASE ? AS encrypted KEY ?", (str(beside), f"x'{key.hex()}'"))
            plain.execute("SELECT sqlcipher_export('encrypted')")
            plain.execute(f"PRAGMA encrypted.user_version = {version}")
            plain.execute("DETACH DATABASE encrypted")
        with beside.open("rb+") as new, path.open("rb+") as old:
            os.fsync(new.fileno())
            beside.replace(path)
            for suffix in ("-wal", "-shm"):  # empty, but another program may have them open
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            sync(path.parent)
            overwrite(old)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutboxError(f"outbox {path}: cannot be encrypted: {error.strerror}") from None
        raise
    _log.info("outbox %s: is encrypted from now on", path)
