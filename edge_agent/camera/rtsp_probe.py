"""Asks an RTSP camera why it gives no stream: OpenCV only says that it does not.

RTSP 1.0: RFC 2326; basic and digest authentication: RFC 7617, RFC 7616.
"""

import hashlib
import re
import secrets
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_LONGEST_ANSWER = 65_536


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and password, kept out of every text that is made of them."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def challenges(self, scheme: str) -> list[str]:
        """Give what follows the scheme's name in each offer of authentication."""
        offers = [value for name, value in self.headers if name == "www-authenticate"]
        return [offer[len(scheme) :].strip() for offer in offers if offer.lower().startswith(scheme)]


def why(url: str, credentials: Credentials | None, *, timeout_s: float) -> str:
    """Say in a few words what keeps the stream from coming."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        with socket.create_connection((parts.hostname, port), timeout_s) as link:
            if parts.scheme == "rtsps":  # asking in clear would give the password away
                return (
                    "the camera takes the connection, but gives no stream over TLS: check path, user and password"
                )
            link.settimeout(timeout_s)
            return _reason(link, url, credentials)
    except socket.gaierror:
        return "the host's name is not known"
    except TimeoutError:
        return "the camera does not answer: check address, cable and power"
    except ConnectionRefusedError:
        return f"nothing listens on port {port}: check address and port"
    except (OSError, ValueError) as error:
        return f"the camera cannot be asked: {getattr(error, 'strerror', None) or 'its answer is not RTSP'}"


def _reason(link: socket.socket, url: str, credentials: Credentials | None) -> str:
    answer = _describe(link, url, 1, None)
    if answer.status == 401 and credentials is None:
        return "the camera asks for user and password: name a credentials_file"
    if answer.status == 401 and credentials is not None:
        answer = _describe(link, url, 2, _authorization(answer, url, credentials))
    if answer.status in (401, 403):
        return "the camera refuses this user or password"
    if answer.status == 404:
        return "the camera has no stream of this path"
    if answer.status != 200:
        return f"the camera answers with status {answer.status}"
    if "m=video" not in answer.body:
        return "the stream holds no video"
    return "the camera answers, but sends no picture"


def _describe(link: socket.socket, url: str, number: int, authorization: str | None) -> _Answer:
    """Ask what the stream holds. Raises OSError, and ValueError where the answer is not RTSP."""
    lines = [f"DESCRIBE {url} RTSP/1.0", f"CSeq: {number}", "Accept: application/sdp"]
    lines += [f"Authorization: {authorization}"] if authorization else []
    link.sendall("\r\n".join([*lines, "", ""]).encode())
    head, _, body = _receive(link, b"").partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    found = re.match(r"RTSP/\d\.\d (\d{3})", first)
    if not found:
        raise ValueError(first)
    named = [line.partition(":") for line in rest]
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in named)
    length = int(dict(headers).get("content-length", "0"))
    while len(body) < min(length, _LONGEST_ANSWER) and (more := link.recv(4096)):
        body += more
    return _Answer(int(found[1]), headers, body.decode("latin-1"))


def _receive(link: socket.socket, content: bytes) -> bytes:
    """Read until the end of the headers."""
    while b"\r\n\r\n" not in content and len(content) < _LONGEST_ANSWER and (more := link.recv(4096)):
        content += more
    return content


def _authorization(answer: _Answer, url: str, credentials: Credentials) -> str | None:
    for challenge in answer.challenges("digest"):
        fields = parse_keqv_list(parse_http_list(challenge))
        if fields.get("algorithm", "MD5").upper() in _HASHES:
            return _digest(fields, url, credentials)
    if answer.challenges("basic"):
        return "Basic " + b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    return None


def _digest(challenge: dict[str, str], url: str, credentials: Credentials) -> str:
    algorithm, realm, nonce = challenge.get("algorithm"), challenge.get("realm", ""), challenge.get("nonce", "")

    def hashed(text: str) -> str:
        return _HASHES[(algorithm or "MD5").upper()](text.encode(), usedforsecurity=False).hexdigest()

    who = hashed(f"{credentials.user}:{realm}:{credentials.password}")
    what = hashed(f"DESCRIBE:{url}")
    fields = f'username="{credentials.user}", realm="{realm}", nonce="{nonce}", uri="{url}"'
    fields += f", algorithm={algorithm}" if algorithm else ""
    if "auth" not in challenge.get("qop", ""):
        return f'Digest {fields}, response="{hashed(f"{who}:{nonce}:{what}")}"'
    own = secrets.token_hex(8)
    response = hashed(f"{who}:{nonce}:00000001:{own}:auth:{what}")
    return f'Digest {fields}, qop=auth, nc=00000001, cnonce="{own}", response="{response}"'
