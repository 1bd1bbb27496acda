"""What a fleet goes through: a backlog, a quiet time, an outage of the broker, and the count at the end."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.fleet.car import AGENCY, Car
from benchmarks.fleet.databases import Verdict, judge
from benchmarks.fleet.programs import Usage, usage
from benchmarks.fleet.servers import Site
from edge_agent import host, wiring
from edge_agent.config.settings import ModelSettings, MqttSettings
from edge_agent.errors import EdgeAgentError

SAMPLE_S = 1.0
MARGIN_S = 2.0
"""Before the outage: time for the last receipts of the quiet time."""

_ARRIVALS_A_SECOND = 100
"""Cars that are switched on."""

_LIMIT_S = 600.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: seconds since the broker's return, cars with a connection, reads without a receipt."""

    at_s: float
    connected: int
    waiting: int


@dataclass(slots=True)
class Outcome:
    """What a fleet of so many cars showed; times in seconds."""

    cars: int
    backlog: int = 0
    backlog_s: float = 0.0
    busy: dict[str, float] = field(default_factory=dict)
    """Processor time a second while the backlog was sent, by who took it."""

    delays_s: list[float] = field(default_factory=list)
    """From a read to its receipt, of the quiet time."""

    waited: int = 0
    """Reads without a receipt when the broker returned."""

    returns_s: list[float] = field(default_factory=list)
    """When each car was connected again, since the broker's return."""

    late_s: list[float] = field(default_factory=list)
    """When each read from before the broker's return had its receipt, since then."""

    samples: list[Sample] = field(default_factory=list)
    memory_mib: dict[str, float] = field(default_factory=dict)
    """The most, by whose it is."""

    connections_lost: int = 0
    sent_again: int = 0
    refused: int = 0
    """Reads that the broker did not take, as no store was subscribed yet; they were kept."""

    largest_record: int = 0
    largest_packet: int = 0
    verdict: Verdict = field(default_factory=Verdict)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a fleet is driven: seconds of quiet time, reads a second and car, seconds of outage."""

    seconds: float
    rate: float
    outage_s: float
    backlog: int


class Course:
    """Drives so many cars through a plan."""

    def __init__(self, *, cars: int, plan: Plan, site: Site) -> None:
        self._plan = plan
        self._site = site
        self._outcome = Outcome(cars)
        self._returned_s = time.monotonic()
        source, clock = wiring.source(ModelSettings()), host.clock_state()
        window = MqttSettings.model_fields["window"].default
        self._cars = [
            Car(number, port=site.port, source=source, clock=clock, window=window) for number in range(1, cars + 1)
        ]

    async def run(self) -> Outcome:
        """Go through all of it. Raises EdgeAgentError."""
        watching = asyncio.create_task(self._watch())
        try:
            await self._switch_on()
            if self._plan.backlog:
                await self._send_backlog()
            await self._drive()
        finally:
            watching.cancel()
            for car in self._cars:
                car.close()
        made = {car.topics.vehicle: car.outbox.ids for car in self._cars}
        outcome = self._outcome
        outcome.verdict = judge(made, await asyncio.to_thread(self._site.database.held, AGENCY))
        counters = [car.publisher.counters for car in self._cars]
        outcome.connections_lost = sum(one.connections_lost for one in counters)
        outcome.sent_again = sum(one.resent for one in counters)
        outcome.refused = sum(one.refused for one in counters)
        outcome.largest_record = max(car.largest_record for car in self._cars)
        outcome.largest_packet = max(car.link.largest_packet for car in self._cars)
        outcome.samples = [replace(one, at_s=one.at_s - self._returned_s) for one in outcome.samples]
        return outcome

    async def _switch_on(self) -> None:
        for car in self._cars:
            car.start()
            await asyncio.sleep(1 / _ARRIVALS_A_SECOND)
        await self._until(lambda: self._connected() == len(self._cars), "all cars to be connected")

    async def _send_backlog(self) -> None:
        each = -(-self._plan.backlog // len(self._cars))
        for car in self._cars:
            car.see(each)
        began_s, before = time.monotonic(), self._usages()
        for car in self._cars:
            car.send()
        await self._until(lambda: self._waiting() == 0, "the receipts of the backlog")
        outcome = self._outcome
        outcome.backlog = each * len(self._cars)
        outcome.backlog_s = max(self._receipted_s()) - began_s
        took_s = time.monotonic() - began_s
        outcome.busy = {
            who: (now.processor_s - before[who].processor_s) / took_s for who, now in self._usages().items()
        }

    async def _drive(self) -> None:
        plan, outcome = self._plan, self._outcome
        quiet_s = time.monotonic()
        for car in self._cars:
            car.drive(plan.rate)
        await asyncio.sleep(plan.seconds + (MARGIN_S if plan.outage_s else 0.0))
        if plan.outage_s:
            await self._break_down()
        for car in self._cars:
            car.park()
        await self._until(lambda: self._waiting() == 0, "the last receipts")
        outcome.delays_s = self._delays(quiet_s, quiet_s + plan.seconds)

    async def _break_down(self) -> None:
        plan, outcome, site = self._plan, self._outcome, self._site
        killed_s = time.monotonic()
        site.broker.kill()
        await asyncio.sleep(plan.outage_s)
        outcome.waited = self._waiting()
        site.broker.start()
        await self._until(lambda: _answers(site.port), "the broker")
        self._returned_s = returned_s = time.monotonic()
        before = [(car.outbox, len(car.outbox.ids)) for car in self._cars]
        await self._until(lambda: self._connected() == len(self._cars), "all cars to be connected again")
        returns = (next(one for one in car.link.connected_s if one >= killed_s) for car in self._cars)
        outcome.returns_s = sorted(max(0.0, one - returned_s) for one in returns)
        await self._until(
            lambda: all(outbox.oldest > seq for outbox, seq in before),
            "the receipts of what was read before the broker's return",
        )
        receipts = [one - returned_s for outbox, seq in before for one in outbox.receipted_s[:seq] if one]
        outcome.late_s = sorted(one for one in receipts if one > 0)

    # To look at it.

    async def _until(self, condition: Callable[[], object], what: str) -> None:
        limit_s = time.monotonic() + _LIMIT_S
        while not condition():
            self._site.check()
            if time.monotonic() > limit_s:
                raise EdgeAgentError(f"waited {_LIMIT_S:.0f} s in vain for {what}: {self._troubles()}")
            await asyncio.sleep(_POLL_S)

    async def _watch(self) -> None:
        """Note connections, queues and memory each second, and end where a program has."""
        while True:
            self._outcome.samples.append(
                Sample(at_s=time.monotonic(), connected=self._connected(), waiting=self._waiting())
            )
            most = self._outcome.memory_mib
            for who, now in (await asyncio.to_thread(self._usages)).items():
                most[who] = max(most.get(who, 0.0), now.memory_mib)
            await asyncio.sleep(SAMPLE_S)

    def _usages(self) -> dict[str, Usage]:
        site = self._site
        return {
            "broker": usage([site.broker.pid]),
            "workers": usage(worker.pid for worker in site.workers),
            "database": usage([site.database.pid()]),
            "cars": Usage(0.0, time.process_time()),
        }

    def _connected(self) -> int:
        return sum(car.link.is_connected for car in self._cars)

    def _waiting(self) -> int:
        return sum(len(car.outbox) for car in self._cars)

    def _troubles(self) -> str:
        said = {car.publisher.counters.problem for car in self._cars} - {None}
        said.update(one for car in self._cars for one in car.outbox.problems)
        return "; ".join(sorted(map(str, said))) or "nobody complains"

    def _receipted_s(self) -> Sequence[float]:
        return [one for car in self._cars for one in car.outbox.receipted_s if one is not None]

    def _delays(self, first_s: float, last_s: float) -> list[float]:
        return [
            receipted - made
            for car in self._cars
            for made, receipted in zip(car.outbox.made_s, car.outbox.receipted_s, strict=True)
            if receipted is not None and first_s <= made < last_s
        ]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
