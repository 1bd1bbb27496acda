"""The kinds of value that settings are made of: names, paths, files that must be there, addresses."""

import os
import re
import stat
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

_CREDENTIALS = Path("/run/credentials")


class Secret:
    """Marks a path whose wrong value is never printed: it may be the secret itself."""


def wrong_value(message: str, *, beside: str = "") -> PydanticCustomError:
    """Make the error whose line ends in the value got; beside is the key to point at where this one is absent."""
    return PydanticCustomError("wrong_value", "{message}", {"message": message, "beside": beside})


def wrong_setting(message: str, *, beside: str = "") -> PydanticCustomError:
    """Make the error whose line does not repeat the value; beside as in wrong_value."""
    return PydanticCustomError("wrong_setting", "{message}", {"message": message, "beside": beside})


def _matching(pattern: str, wording: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise wrong_value(wording)
        return value

    return AfterValidator(match)


Name = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", "should be a name of up to 32 letters, digits, - and _ (no space, no /)"
    ),
]
"""A name that is safe in a topic and in a file's name."""

Topic = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}",
        "should be a topic such as lpr or site/lpr, without + and #",
    ),
]


_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def _host_name(value: str) -> str:
    if "@" in value:
        raise wrong_setting("no user or password may stand in a host's name: there are username and password_file")
    if _HOST.fullmatch(value) is None and not _is_ipv6(value):
        raise wrong_value("should be a host name or an address: no mqtt://, and the port has its own key")
    return value


def _is_ipv6(value: str) -> bool:
    try:
        return bool(IPv6Address(value))
    except ValueError:
        return False


HostName = Annotated[str, AfterValidator(_host_name)]

FourCharacterCode = Annotated[
    str, _matching(r"[A-Z0-9]{4}", "should be a format's four characters, such as MJPG or YUYV")
]


def _path(value: object, info: ValidationInfo) -> Path:
    """Read a path; a relative one starts at the configuration directory, given as the validation's context."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise wrong_value("should be a path in quotes")
    if not value.strip() or not value.isprintable():
        raise wrong_value("should be a path")
    if value.startswith("~"):
        raise wrong_setting("~ is not expanded: write the whole path")
    return Path((info.context or {}).get("directory", ""), value)


def _mode(path: Path) -> int | None:
    """Give the file's mode; None for a credential that is there only while the service runs."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        if path.is_relative_to(_CREDENTIALS) and not path.parent.exists():
            return None
        raise wrong_value("there is no such file") from None
    except OSError as error:
        raise wrong_value(f"cannot be reached ({error.strerror})") from None


def _readable(path: Path) -> Path:
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise wrong_value("is not a file")
    if mode is not None and not os.access(path, os.R_OK):
        raise wrong_value("this user may not read the file")
    return path


def _private(path: Path, info: ValidationInfo) -> Path:
    mode = _mode(path)
    if mode is not None and mode & stat.S_IRWXO and not (info.context or {}).get("open_to_all"):
        raise wrong_value("every user here can open the file: chmod o-rwx mends it")
    return path


def _no_file(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise wrong_value("is not a directory")
    return path


def _directory(path: Path) -> Path:
    if not path.is_dir():
        raise wrong_value("there is no such directory")
    return path


AnyPath = Annotated[Path, BeforeValidator(_path)]
"""A path that may come into being later."""

FutureDirectory = Annotated[Path, BeforeValidator(_path), AfterValidator(_no_file)]
"""A directory that may come into being later."""

Directory = Annotated[Path, BeforeValidator(_path), AfterValidator(_directory)]
"""A directory that must be there."""

PublicFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_readable)]
"""A file that must be there, such as a certificate."""

SecretFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_readable), AfterValidator(_private), Secret()]
"""A file that must be there and that other users must not be able to open."""

_PASSWORD_IN_QUERY = re.compile(r"(password|passwd|pass|pwd)=", re.IGNORECASE)


def _rtsp_url(value: str) -> str:
    if "@" in value or _PASSWORD_IN_QUERY.search(value):
        raise wrong_setting(
            "no user or password may stand in the address: put them in a file that only the service can read"
            " and name it in credentials_file"
        )
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading the port is what checks it
    except ValueError:
        raise wrong_value("should be an address such as rtsp://192.168.1.64:554/stream1") from None
    if parts.scheme not in {"rtsp", "rtsps"} or not parts.hostname or not value.isprintable() or " " in value:
        raise wrong_value("should be an address such as rtsp://192.168.1.64:554/stream1")
    return value


RtspUrl = Annotated[str, AfterValidator(_rtsp_url), Secret()]
