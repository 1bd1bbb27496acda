"""What the publisher says beside the reads, in the words of the contract."""

from edge_agent.contract.gap import GapRecord
from edge_agent.contract.state import State
from edge_agent.contract.topics import Topics
from edge_agent.mqtt import Message
from edge_agent.outbox import Gap


def gap_record(gap: Gap, topics: Topics) -> GapRecord:
    """A gap record of the vehicle whose topics these are."""
    return GapRecord(
        schema="lpr.gap/1",
        id=gap.id,
        agency=topics.agency,
        vehicle=topics.vehicle,
        what=gap.what,
        reason=gap.reason,
        ranges=gap.ranges,
        reads=gap.reads,
        acknowledged=gap.acknowledged,
        at=gap.at,
    )


def last_will(topics: Topics) -> Message:
    """Give what the broker tells the others when the car is gone without a goodbye."""
    return Message(topics.state, State.OFFLINE.encode(), retain=True)
