"""What the car tells of itself once a minute."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent import __version__
from edge_agent.config.settings import AgentSettings
from edge_agent.contract.health import CameraHealth, DeliveryHealth, HealthRecord, LeftHealth, OutboxHealth
from edge_agent.contract.record import Clock
from edge_agent.domain import ClockState, GapReason, Missing, counted
from edge_agent.errors import BrokerError
from edge_agent.host import clock_state
from edge_agent.mqtt import Identity, expiry_warning, identity
from edge_agent.outbox import Outbox, OutboxStatus, Purge
from edge_agent.position import NoPosition
from edge_agent.publisher import Publisher
from edge_agent.services.line import CameraLine, LineStatus

DISK_LOW_BYTES = 500_000_000
LONG_WAIT = timedelta(minutes=15)
LONGEST_LINE = 300


class Health:
    """Asks everybody; encode() is called on the publisher's thread."""

    def __init__(
        self,
        *,
        agent: AgentSettings,
        outbox: Outbox,
        publisher: Publisher,
        lines: Sequence[CameraLine],
        position: NoPosition,
    ) -> None:
        self._agent = agent
        self._outbox = outbox
        self._publisher = publisher
        self._lines = lines
        self._position = position
        self._began_s = time.monotonic()

    def encode(self) -> bytes:
        """The record of now, as JSON. Raises OutboxError."""
        return self.record(datetime.now(UTC)).encode()

    def record(self, now: datetime) -> HealthRecord:
        """The record of a time in UTC. Raises OutboxError."""
        certificate, wrong = _certificate(self._agent)
        outbox, lines, clock = self._outbox.status(), [line.status for line in self._lines], clock_state()
        counters = self._publisher.counters
        free = _free_bytes(self._agent.state.directory)
        fix_age_s = self._position.fix_age_s()
        names = [line.name for line in self._lines]
        warnings = [
            *wrong,
            *([line] if certificate and (line := expiry_warning(certificate, now)) else []),
            *(line for one in zip(names, lines, strict=True) for line in _of_a_camera(*one)),
            *([counters.problem] if counters.problem else []),
            *_of_the_outbox(outbox, now),
            *_of_the_computer(clock, free),
            *([line] if (line := self._position.problem()) else []),
        ]
        if self._agent.state.key_file is None:
            warnings.append("reads lie on the disk unencrypted: state.key_file is not set")
        return HealthRecord(
            schema="lpr.health/1",
            agency=self._agent.vehicle.agency,
            vehicle=self._agent.vehicle.id,
            at=_milliseconds(now),
            agent=__version__,
            up_s=int(time.monotonic() - self._began_s),
            cameras=tuple(_camera(*one) for one in zip(names, lines, strict=True)),
            outbox=OutboxHealth(
                pending=outbox.pending,
                sent=outbox.sent,
                quarantined=outbox.quarantined,
                images=outbox.images,
                gaps=outbox.gaps,
                last_seq=outbox.last_seq,
                oldest_at=outbox.oldest,
                size_bytes=outbox.size_bytes,
                left=_left(self._outbox.purges()),
            ),
            delivery=DeliveryHealth(
                receipted=counters.receipted,
                resent=counters.resent,
                refused=counters.refused,
                bad_receipts=counters.bad_receipts,
                connections_lost=counters.connections_lost,
            ),
            clock=Clock.model_validate(
                {"synchronized": clock.synchronized, "source": clock.source, "error_ms": clock.error_ms}
            ),
            fix_age_s=None if fix_age_s is None else int(fix_age_s),
            disk_free_bytes=free,
            certificate_expires_at=certificate.expires_at if certificate else None,
            warnings=tuple(one[:LONGEST_LINE] for one in warnings[:20]),
        )


def _left(purges: Iterable[Purge]) -> tuple[LeftHealth, ...]:
    counts: Counter[tuple[Missing, GapReason]] = Counter()
    for one in purges:
        counts[one.what, one.reason] += one.reads
    return tuple(LeftHealth(what=what, reason=reason, reads=reads) for (what, reason), reads in counts.items())


def _certificate(agent: AgentSettings) -> tuple[Identity | None, list[str]]:
    mqtt = agent.mqtt
    if mqtt.certificate_file is None:
        return None, []
    try:
        return identity(mqtt.certificate_file, mqtt.key_file), []
    except BrokerError as error:
        return None, [str(error)]


def _of_a_camera(name: str, line: LineStatus) -> Iterator[str]:
    if line.lost:
        yield f"camera {name}: {counted(line.lost, 'read')} lost: not taken by the disk"
    if line.capture.last_error and line.capture.state.value == "waiting":
        yield f"camera {name}: {line.capture.last_error}"
    elif line.capture.condition.value != "ok":
        yield f"camera {name}: its picture is {line.capture.condition.value}"


def _of_the_outbox(outbox: OutboxStatus, now: datetime) -> Iterator[str]:
    if outbox.oldest and (waited := now - outbox.oldest) >= LONG_WAIT:
        yield f"the oldest read has waited {waited.total_seconds() / 60:.0f} minutes for the store"
    if outbox.quarantined:
        yield f"{counted(outbox.quarantined, 'read')} quarantined: not taken by the broker"


def _of_the_computer(clock: ClockState, free_bytes: int | None) -> Iterator[str]:
    if free_bytes is not None and free_bytes < DISK_LOW_BYTES:
        yield f"the disk has {free_bytes / 1e6:.0f} MB left"
    if not clock.synchronized:
        yield "the clock is not synchronized"


def _camera(name: str, line: LineStatus) -> CameraHealth:
    capture = line.capture
    return CameraHealth.model_validate(
        {
            "name": name,
            "state": capture.state.value,
            "picture": capture.condition.value,
            "fps": round(min(capture.fps, 1000.0), 1),
            "frames": capture.frames,
            "processed": line.processed,
            "dropped": line.dropped,
            "reads": line.reads,
            "lost": line.lost,
            "reopened": capture.reopened,
        }
    )


def _free_bytes(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None


def _milliseconds(now: datetime) -> datetime:
    return now - timedelta(microseconds=now.microsecond % 1000)
