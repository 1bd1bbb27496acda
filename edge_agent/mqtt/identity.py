"""Who a client certificate says we are."""

import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_agent.errors import BrokerError
from edge_agent.mqtt.failures import tls_context
from edge_agent.mqtt.messages import Tls

EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Identity:
    """The name that a broker reads in our certificate, and until when it does."""

    common_name: str
    expires_at: datetime


def expiry_warning(ours: Identity, now: datetime) -> str | None:
    """A line for a person, where the certificate expires soon or has expired."""
    if (left := ours.expires_at - now) >= EXPIRES_SOON:
        return None
    return f"the client certificate expires in {max(0, left.days)} days, on {ours.expires_at:%Y-%m-%d}"


def identity(certificate: Path, key: Path | None) -> Identity:
    """Read our certificate as a broker does. Raises BrokerError where it would refuse it.

    The standard library decodes no certificate but a peer's, so we shake hands with ourselves, in memory.
    """
    ours = tls_context(Tls(certificate_file=certificate, key_file=key))
    ours.check_hostname = False
    ours.verify_mode = ssl.CERT_NONE
    to_broker, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = ours.wrap_bio(to_us, to_broker)
    broker = _brokers_context(certificate, key).wrap_bio(to_broker, to_us, server_side=True)
    try:
        for side in (us, broker) * 2:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", error.reason)
        raise BrokerError(f"{certificate}: a broker would refuse it ({reason})") from None
    seen: dict[str, Any] = broker.getpeercert() or {}
    names = (value for part in seen["subject"] for kind, value in part if kind == "commonName")
    return Identity(
        common_name=next(names, ""),
        expires_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(seen["notAfter"]), UTC),
    )


def _brokers_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Play a broker that trusts this certificate itself, whoever signed it, and has no other to show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
