"""What MQTT 5's reason codes of a publish ask of us (OASIS MQTT 5.0, 3.4.2.1); all others are refusals too."""

NOBODY = 0x10
WAIT = frozenset({0x80, 0x83, 0x97})  # the broker has trouble or is full: time mends it
TOO_LARGE = 0x95
READ_REFUSED = frozenset({TOO_LARGE, 0x99})  # this read, not the others
TOPIC_REFUSED = frozenset({NOBODY, 0x87, 0x90})
REFUSED = {
    NOBODY: "nobody takes the reads: check that the central store is subscribed",
    0x87: "the broker's access rules refuse the topic: check that this vehicle may write to it",
    0x90: "the broker refuses the topic's name: check prefix, agency and vehicle",
    TOO_LARGE: "the broker finds a read too large: check its max_packet_size",
    0x99: "the broker finds a read malformed",
}
