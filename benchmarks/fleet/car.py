"""A light car: the agent's own publisher, with an outbox in memory and a connection without a thread."""

import asyncio
import random

import numpy as np

from benchmarks.fleet.link import LightLink
from benchmarks.fleet.outbox import MemoryOutbox
from edge_agent import host
from edge_agent.contract.ids import new_id
from edge_agent.contract.record import ReadDraft, Source, draft
from edge_agent.contract.topics import Topics
from edge_agent.domain import ALPHABET, Box, Candidate, ClockState, Position, Read, Region
from edge_agent.publisher import Publisher, last_will

AGENCY = "fleet"
_PATCH = np.zeros((1, 1, 3), np.uint8)  # no picture is sent


class Car:
    """Sees plates when told to, or by itself at a rate; all cars share one event loop."""

    def __init__(self, number: int, *, port: int, source: Source, clock: ClockState, window: int) -> None:
        self.topics = Topics("lpr", AGENCY, f"car-{number}")
        self.outbox = MemoryOutbox()
        self.link = LightLink(
            port=port,
            client_id=f"{AGENCY}-{self.topics.vehicle}",
            will=last_will(self.topics),
            woken=self._soon,
        )
        self.publisher = Publisher(outbox=self.outbox, link=self.link, topics=self.topics, window=window)
        self.largest_record = 0
        self._random = random.Random(number)
        self._source = source
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._turn_at: asyncio.TimerHandle | None = None
        self._turn_soon = False
        self._see_at: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._soon()

    def see(self, count: int) -> None:
        """Pass so many plates now; send() sends them."""
        for _ in range(count):
            self.largest_record = max(self.largest_record, self.outbox.append(self._read()))

    def send(self) -> None:
        self.publisher.notify()

    def drive(self, rate: float) -> None:
        """Pass plates from now on, rate a second on average, at random times (a Poisson process)."""
        self._see_at = self._loop.call_later(self._random.expovariate(rate), self._drive, rate)

    def park(self) -> None:
        """Pass no more plates."""
        if self._see_at is not None:
            self._see_at.cancel()
            self._see_at = None

    def close(self) -> None:
        """Stop where the car stands."""
        self.park()
        if self._turn_at is not None:
            self._turn_at.cancel()
        self._turn_soon = True  # no more turns
        self.link.close()

    def _drive(self, rate: float) -> None:
        self.see(1)
        self.send()
        self.drive(rate)

    def _soon(self) -> None:
        if not self._turn_soon:
            self._turn_soon = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Let the publisher work as its thread would: again after news, else when it wanted to be called."""
        if self._turn_at is not None:
            self._turn_at.cancel()
        self._turn_soon = False
        self.link.wait_s = 0.0
        self.publisher.step()
        self.link.flush()
        if self.link.wait_s > 0:
            self._turn_at = self._loop.call_later(self.link.wait_s, self._soon)
        else:
            self._soon()

    def _read(self) -> ReadDraft:
        read, position = made_up(self._random)
        return draft(
            read,
            agency=AGENCY,
            vehicle=self.topics.vehicle,
            source=self._source,
            clock=self._clock,
            position=position,
        )


def made_up(rng: random.Random) -> tuple[Read, Position]:
    """A read as large as real ones: 7 characters, two other candidates, a region, and a position."""
    now = host.now()
    shares = [rng.uniform(0.8, 1.0) for _ in range(7)]
    texts = ["".join(rng.choices(ALPHABET, k=7)) for _ in range(3)]
    read = Read(
        id=new_id(now.utc),
        revision=0,
        camera="front",
        text=texts[0],
        confidence=min(shares),
        character_confidences=tuple(shares),
        candidates=tuple(Candidate(text=one, confidence=0.051) for one in texts[1:]),
        region=Region(code="us-ct", confidence=0.912),
        box=Box(1000.4, 600.6, 1120.5, 660.5),
        frame_size=(1920, 1080),
        captured=now,
        first=now,
        last=now,
        frames=12,
        captured_frame=6,
        frame_numbers=(1, 12),
        patch=_PATCH,
    )
    position = Position(
        lat_deg=41.76 + rng.random() / 100,
        lon_deg=-72.68 - rng.random() / 100,
        speed_kmh=rng.uniform(20, 120),
        heading_deg=rng.uniform(0, 360),
        fix_age_ms=310,
    )
    return read, position
