"""Why there is no connection, in one line that says what to check."""

import socket
import ssl

from edge_agent.errors import BrokerError
from edge_agent.mqtt.messages import Tls

REFUSALS = {
    0x84: "does not speak MQTT 5: mosquitto does from version 1.6 on",
    0x85: "refused the client's name: check the vehicle's name",
    0x86: "refused the user name or password: check username and password_file",
    0x87: "does not let us in: check the user name, the certificate and the broker's access rules",
    0x88: "is not available",
    0x89: "is busy",
    0x8A: "has banned us",
    0x9A: "keeps no retained messages, which the state needs: check its settings",
}
"""What a refused CONNECT means, by reason code, and what to check."""


_NOT_YET_VALID = 9
"""X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL: seldom the certificate's fault, often that of a clock in 1970."""


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Make the terms of an encrypted connection. Raises BrokerError for a file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"{tls.ca_file}: cannot be used as ca_file ({error.strerror or error})") from None
    context.sslsocket_class = _ClosingSocket
    try:
        if tls.certificate_file is not None:
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        why = "the key has a passphrase" if _has_passphrase(tls) else error.strerror or error
        raise BrokerError(
            f"{tls.certificate_file}: cannot be used as certificate_file with key_file {tls.key_file} ({why})"
        ) from None
    return context


def _has_passphrase(tls: Tls) -> bool:
    """Whether OpenSSL would ask for one; PEM says so in its first lines."""
    key = tls.key_file or tls.certificate_file
    try:
        return key is not None and b"ENCRYPTED" in key.read_bytes()
    except OSError:
        return False


def _no_password() -> str:
    """Stand in for OpenSSL's question on the terminal, where nobody sits."""
    return ""


def explain(error: Exception) -> str:
    """Say in one line why a connection could not be made, and what to check."""
    text = str(error)
    match error:
        case ssl.SSLCertVerificationError():
            check = "ca_file, and that host is its name"
            if error.verify_code == _NOT_YET_VALID:
                check = "this computer's clock"
            text = f"its certificate is refused ({error.verify_message}): check {check}"
        case ssl.SSLError():
            text = f"TLS failed ({error.reason}): check that this is the TLS port"
        case ConnectionResetError():
            text = "closed the connection at once: check that tls and port go together"
        case ConnectionRefusedError():
            text = "refuses connections: check that it runs and that the port is right"
        case socket.gaierror():
            text = f"name not found ({error.strerror}): check host and the network"
        case TimeoutError():
            text = "no answer: check host, port, network and firewall"
        case OSError():
            text = f"cannot be reached ({error.strerror or error})"
    return text
