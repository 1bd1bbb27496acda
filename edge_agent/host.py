"""The only module that asks the machine: its clocks, its service manager."""

import time
from datetime import UTC, datetime

from edge_agent.domain import Stamp


def now() -> Stamp:
    """Read both clocks."""
    return Stamp(monotonic_s=time.monotonic(), utc=datetime.now(UTC))
