"""Carries reads from the outbox to the broker, and receipts back."""

from edge_agent.publisher.publisher import Counters, Publisher, last_will

__all__ = ["Counters", "Publisher", "last_will"]
