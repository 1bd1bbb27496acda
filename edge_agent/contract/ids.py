"""Makes the identifiers of reads: UUID version 7 (RFC 9562), whose first bits are the capture time."""

import secrets
from datetime import datetime
from uuid import UUID

_VERSION = 7 << 76
_VARIANT = 2 << 62


def new_id(captured_utc: datetime) -> UUID:
    """Make an identifier that sorts by capture time, in milliseconds; a time before 1970 counts as 1970."""
    milliseconds = max(0, int(captured_utc.timestamp() * 1000))
    random_a, random_b = secrets.randbits(12), secrets.randbits(62)
    return UUID(int=milliseconds << 80 | _VERSION | random_a << 64 | _VARIANT | random_b)
