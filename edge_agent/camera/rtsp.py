"""A network camera over RTSP, received by OpenCV's FFmpeg over TCP."""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import cv2
import numpy as np

from edge_agent.camera.quiet import hush
from edge_agent.camera.rtsp_probe import Credentials, why
from edge_agent.domain import Frame, Now
from edge_agent.errors import CameraError

hush()

PROBE_S = 5.0
"""How long a camera that gives no stream may take to say why."""

_LOGIN = re.compile(r"(?P<user>[^\s:](?:[^:\n]*[^\s:])?):(?P<password>\S(?:.*\S)?)\n?")


class RtspCamera:
    """One stream of a network camera; user and password are in memory alone, never in a text for people."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        now: Now,
        credentials_file: Path | None = None,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
    ) -> None:
        self._name = name
        self._url = url
        self._now = now
        self._credentials_file = credentials_file
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._stream: cv2.VideoCapture | None = None
        self._number = 0

    def open(self) -> None:
        """Connect and wait for the stream. Raises CameraError that says why there is none."""
        credentials = self._credentials()
        if urlsplit(self._url).username is not None:
            raise self._error("the url holds a user or password: move them to the credentials_file")
        # OpenCV asks for TCP by itself. One decoding thread: each more would hold a frame back.
        stream = cv2.VideoCapture(
            _with(self._url, credentials),
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1e3 * self._open_timeout_s),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1e3 * self._read_timeout_s),
                cv2.CAP_PROP_N_THREADS, 1,
            ],
        )  # fmt: skip
        if not stream.isOpened():
            stream.release()
            raise self._error(why(self._url, credentials, timeout_s=PROBE_S))
        self._stream = stream

    def read(self) -> Frame:
        """Wait for the next frame. Raises CameraError where none comes in time or the stream has ended."""
        if self._stream is None:
            raise self._error("read before it was opened")
        there, image = self._stream.read()
        stamp = self._now()
        if not there:
            raise self._error(f"the stream broke off, or gave no picture for {self._read_timeout_s:g} s")
        frame = Frame(self._name, self._number, stamp, np.asarray(image, np.uint8))
        self._number += 1
        return frame

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.release()
            self._stream = None

    def _credentials(self) -> Credentials | None:
        if self._credentials_file is None:
            return None
        try:
            return read_credentials(self._credentials_file)
        except CameraError as error:
            raise self._error(f"credentials_file {error}") from None

    def _error(self, what: str) -> CameraError:
        """Make the error's one line; a query may hold a token, so the address is shown without it."""
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        return CameraError(f"camera {self._name}: {parts.scheme}://{host}{parts.path}: {what}")


def read_credentials(file: Path) -> Credentials:
    """Read the one line `user:password`. Raises CameraError, which never shows what the file holds."""
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CameraError(f"{file}: cannot be read: {reason}") from None
    login = _LOGIN.fullmatch(content)
    if login is None:
        raise CameraError(f"{file}: should hold one line, user:password, without spaces around either")
    return Credentials(login["user"], login["password"])


def _with(url: str, credentials: Credentials | None) -> str:
    """Give the url that FFmpeg needs."""
    if credentials is None:
        return url
    parts = urlsplit(url)
    login = f"{quote(credentials.user, safe='')}:{quote(credentials.password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
