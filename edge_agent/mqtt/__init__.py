"""The connection to the broker: MQTT 5, QoS 1, one event at a time."""

from edge_agent.mqtt.failures import tls_context
from edge_agent.mqtt.identity import Identity, expiry_warning, identity
from edge_agent.mqtt.link import MqttLink
from edge_agent.mqtt.messages import (
    Acknowledged,
    Broker,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    Received,
    Subscribed,
    SubscriptionRefused,
    Tls,
    Woken,
)

__all__ = [
    "Acknowledged",
    "Broker",
    "ConnectFailed",
    "Connected",
    "Disconnected",
    "Event",
    "Identity",
    "Message",
    "MqttLink",
    "Received",
    "Subscribed",
    "SubscriptionRefused",
    "Tls",
    "Woken",
    "expiry_warning",
    "identity",
    "tls_context",
]
