import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5, sha256

import pytest

from edge_agent.camera.rtsp_probe import Credentials, why

LOGIN = Credentials("user", "secret")
SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\n"


@contextmanager
def answering(*answers: str) -> Iterator[tuple[str, list[str]]]:
    """A camera of one connection that gives these answers in turn; its address, and what it was asked."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                for answer in answers:
                    asked.append(link.recv(65_536).decode())
                    link.sendall(answer.encode())
                link.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live", asked
        thread.join(20)


def answer(status: str, *headers: str, body: str = "") -> str:
    return "\r\n".join([f"RTSP/1.0 {status}", *headers, f"Content-Length: {len(body)}", "", body])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer("404 Not Found"), "no stream of this path"),
        (answer("403 Forbidden"), "refuses this user or password"),
        (answer("401 Unauthorized", "WWW-Authenticate: Basic realm=x"), "asks for user and password"),
        (answer("503 Service Unavailable"), "answers with status 503"),
        (answer("200 OK", body="v=0\r\nm=audio 0\r\n"), "holds no video"),
        (answer("200 OK", body=SDP), "answers, but sends no picture"),
        ("HTTP/1.1 200 OK\r\n\r\n", "its answer is not RTSP"),
        ("RTSP/1.0 200 OK\r\nContent-Length: many\r\n\r\n", "its answer is not RTSP"),
    ],
)
def test_each_answer_has_its_reason(given: str, reason: str) -> None:
    with answering(given) as (url, _):
        assert reason in why(url, None, timeout_s=20)


def test_a_camera_that_says_nothing_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        assert "does not answer" in why(url, None, timeout_s=0.2)


@pytest.mark.parametrize("quality", ["", ', qop="auth"'])
def test_a_digest_challenge_is_answered_as_the_standard_says(quality: str) -> None:
    challenge = f'WWW-Authenticate: Digest realm="cam, one", nonce="n0"{quality}'
    with answering(answer("401 Unauthorized", challenge), answer("200 OK", body=SDP)) as (url, asked):
        assert "sends no picture" in why(url, LOGIN, timeout_s=20)
    fields = dict(re.findall(r'(\w+)="?([^",]*(?:, one)?)"?', asked[1].split("Digest ")[1].split("\r\n")[0]))
    one = md5(b"user:cam, one:secret", usedforsecurity=False).hexdigest()
    two = md5(f"DESCRIBE:{url}".encode(), usedforsecurity=False).hexdigest()
    middle = f"n0:{fields['nc']}:{fields['cnonce']}:auth" if quality else "n0"
    assert fields["response"] == md5(f"{one}:{middle}:{two}".encode(), usedforsecurity=False).hexdigest()
    assert "secret" not in asked[1]


def test_the_first_digest_whose_algorithm_is_known_is_answered() -> None:
    offers = [
        f'WWW-Authenticate: Digest realm="x", nonce="n", algorithm={one}' for one in ("SHA-512-256", "SHA-256")
    ]
    with answering(answer("401 Unauthorized", *offers), answer("200 OK", body=SDP)) as (url, asked):
        assert "sends no picture" in why(url, LOGIN, timeout_s=20)
    one, two = sha256(b"user:x:secret").hexdigest(), sha256(f"DESCRIBE:{url}".encode()).hexdigest()
    assert f'response="{sha256(f"{one}:n:{two}".encode()).hexdigest()}"' in asked[1]
    assert "algorithm=SHA-256" in asked[1]


def test_over_tls_nothing_is_asked_in_clear() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsps://127.0.0.1:{listener.getsockname()[1]}/live"
        assert "over TLS" in why(url, LOGIN, timeout_s=20)
        link, _ = listener.accept()
        with link:
            assert link.recv(100) == b""


def test_a_password_that_is_refused_is_told() -> None:
    denied = answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"')
    with answering(denied, denied) as (url, asked):
        assert why(url, LOGIN, timeout_s=20) == "the camera refuses this user or password"
    assert "Authorization: Basic dXNlcjpzZWNyZXQ=" in asked[1]


def test_an_unknown_host_is_told() -> None:
    assert why("rtsp://no-such-host.invalid/live", None, timeout_s=5) == "the host's name is not known"


def test_credentials_hide_in_every_text() -> None:
    assert "secret" not in repr(LOGIN)
    assert "user" not in repr(LOGIN)
