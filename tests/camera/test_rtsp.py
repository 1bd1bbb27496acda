"""Network cameras against a real RTSP server (GStreamer's, run by the system's Python)."""

import logging
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent import host
from edge_agent.camera.capture import Capture, CaptureState
from edge_agent.camera.rtsp import RtspCamera, read_credentials
from edge_agent.camera.rtsp_probe import Credentials
from edge_agent.domain import Frame
from edge_agent.errors import CameraError
from edge_agent.latest import Latest

SERVER = Path(__file__).with_name("rtsp_server.py")
PASSWORD = "p@ss:w/rd %41"  # noqa: S105 - everything that an address would take for something else
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of noise at 15 frames a second."""
    path = tmp_path_factory.mktemp("rtsp") / "street.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15, (320, 240))
    for number in range(900):
        writer.write(np.full((240, 320, 3), 40 + number % 100, np.uint8))
    writer.release()
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def server(video: Path, port: int, *credentials: str) -> Iterator[subprocess.Popen[str]]:
    """Run the server until the block ends."""
    python = "/usr/bin/python3"
    if (
        not Path(python).exists()
        or subprocess.run([python, "-c", NEEDED], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs Debian's python3-gi and gir1.2-gst-rtsp-server-1.0")
    command = [python, str(SERVER), str(video), str(port), *credentials]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def camera(
    port: int, *, path: str = "/stream", login: Path | None = None, open_s: float = 20, read_s: float = 20
) -> RtspCamera:
    return RtspCamera(
        name="front", url=f"rtsp://127.0.0.1:{port}{path}", credentials_file=login, open_timeout_s=open_s,
        read_timeout_s=read_s, now=host.now,
    )  # fmt: skip


def login(folder: Path, content: str) -> Path:
    path = folder / "login"
    path.write_text(content)
    return path


def refused(source: RtspCamera) -> str:
    with pytest.raises(CameraError) as error:
        source.open()
    source.close()
    assert "\n" not in str(error.value)
    return str(error.value)


def wait_for(met: Callable[[], bool], *, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not met():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_frames_of_a_real_stream_come_in_order(video: Path, port: int) -> None:
    with server(video, port):
        source = camera(port)
        source.open()
        frames = [source.read() for _ in range(10)]
        source.close()
    assert [frame.number for frame in frames] == list(range(10))
    assert frames[0].size == (320, 240)
    times = [frame.stamp.monotonic_s for frame in frames]
    assert times == sorted(times)


@pytest.mark.parametrize("form", ["user:{}", "user:{}\n"])
def test_user_and_password_come_from_a_file(video: Path, port: int, tmp_path: Path, form: str) -> None:
    with server(video, port, "user", PASSWORD):
        source = camera(port, login=login(tmp_path, form.format(PASSWORD)))
        source.open()
        assert source.read().number == 0
        source.close()


def test_a_wrong_password_is_told_apart_and_never_shown(
    video: Path, port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with server(video, port, "user", PASSWORD):
        wrong = camera(port, login=login(tmp_path, "user:secret-but-wrong"))
        message = refused(wrong)
    assert message == (f"camera front: rtsp://127.0.0.1:{port}/stream: the camera refuses this user or password")
    shown = message + repr(wrong) + caplog.text + "".join(capfd.readouterr())
    assert "secret" not in shown
    assert "wrong" not in shown


def test_a_missing_password_is_told(video: Path, port: int) -> None:
    with server(video, port, "user", PASSWORD):
        assert "asks for user and password: name a credentials_file" in refused(camera(port))


def test_a_wrong_path_is_told(video: Path, port: int, tmp_path: Path) -> None:
    with server(video, port, "user", PASSWORD):
        file = login(tmp_path, f"user:{PASSWORD}")
        assert "no stream of this path" in refused(camera(port, path="/other", login=file))


def test_nobody_there_is_told_and_ffmpeg_is_silent(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert f"nothing listens on port {port}" in refused(camera(port))
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_stalls_is_given_up(video: Path, port: int) -> None:
    with server(video, port) as process:
        source = camera(port, read_s=1)
        source.open()
        source.read()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(CameraError, match="broke off, or gave no picture for 1 s"):
            all(source.read() for _ in range(1000))
        source.close()


def test_a_server_that_is_killed_and_comes_back_is_found_again(
    video: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    class ShortPauses(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 0.1

    latest: Latest[Frame] = Latest()
    capture = Capture(name="front", camera=camera(port), sink=latest, now=host.now, jitter=ShortPauses())
    stop = threading.Event()
    thread = threading.Thread(target=capture.run, args=(stop,))
    with caplog.at_level(logging.WARNING):
        try:
            with server(video, port):
                thread.start()
                wait_for(lambda: capture.status.frames > 5)
            wait_for(lambda: capture.status.state is CaptureState.WAITING)
            before = capture.status.frames
            with server(video, port):
                wait_for(lambda: capture.status.frames > before + 5)
        finally:
            stop.set()
            thread.join(30)
    assert not thread.is_alive()
    assert capture.status.reopened >= 1
    assert "the stream broke off" in caplog.text
    frame = latest.take(0)
    assert frame is not None
    assert frame.number >= before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hidden",
        ":hidden",
        "user:",
        "user:\n",
        " user:hidden",
        "user :hidden",
        "user: hidden",
        "user:hidden \n",
        "user\nhidden\n",
        "user:hidden\nmore\n",
        "user:hidden\n\n",
    ],
)
def test_a_credentials_file_of_another_form_is_told_and_not_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(CameraError, match="should hold one line, user:password, without spaces") as caught:
        read_credentials(login(tmp_path, content))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_may_hold_what_parts_the_rest(tmp_path: Path, end: str) -> None:
    assert read_credentials(login(tmp_path, f"an admin:a: b:{end}")) == Credentials("an admin", "a: b:")


def test_a_missing_credentials_file_is_told(port: int, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(camera(port, login=tmp_path / "nowhere"))


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    source = RtspCamera(name="front", url="rtsp://user:hidden@127.0.0.1/stream?token=hidden", now=host.now)
    message = refused(source)
    assert "move them to the credentials_file" in message
    assert "hidden" not in message + repr(source)


def test_reading_before_opening_is_an_error(port: int) -> None:
    with pytest.raises(CameraError, match="read before it was opened"):
        camera(port).read()
