"""Carries reads from the outbox to the broker, and receipts back."""

from edge_agent.publisher.ports import Counters
from edge_agent.publisher.publisher import Publisher
from edge_agent.publisher.words import gap_record, last_will

__all__ = ["Counters", "Publisher", "gap_record", "last_will"]
