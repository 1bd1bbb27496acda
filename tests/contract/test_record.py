import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.ids import new_id
from edge_agent.contract.record import BUDGET_BYTES, ModelUsed, ReadRecord, Source, decode_read, draft
from edge_agent.contract.topics import Topics
from edge_agent.domain import ALPHABET, Candidate, ClockState, Position, Read, Region
from edge_agent.errors import ContractError
from tests.contract.reads import CLOCK, NOON, POSITION, SOURCE, make_read

Json = dict[str, Any]
PACKET_BYTES = 10  # the header of an MQTT packet


def encode(read: Read, *, seq: int = 7, clock: ClockState = CLOCK, position: Position | None = POSITION) -> bytes:
    entry = draft(read, agency="hartford-pd", vehicle="car-12", source=SOURCE, clock=clock, position=position)
    return entry.encode(seq)


def record() -> Json:
    return json.loads(encode(make_read()))  # type: ignore[no-any-return]


def test_a_read_becomes_the_contracts_record() -> None:
    read = make_read()
    assert json.loads(encode(read)) == {
        "schema": "lpr.read/1",
        "id": str(read.id),
        "seq": 7,
        "agency": "hartford-pd",
        "vehicle": "car-12",
        "camera": "front",
        "captured_at": "2026-07-04T12:00:00.123Z",
        "clock": {"synchronized": True, "source": "ntp", "error_ms": 4},
        "plate": {
            "text": "AB12CD3",
            "confidence": 0.932,
            "characters": [0.932] * 7,
            "candidates": [["AB12CO3", 0.031]],
            "region": {"code": "us-ct", "confidence": 0.91},
        },
        "box": [100, 201, 220, 260],
        "frame_size": [1920, 1080],
        "track": {"frames": 12, "first_at": "2026-07-04T11:59:59.623Z", "last_at": "2026-07-04T12:00:00.623Z"},
        "position": {
            "lat_deg": 41.763712,
            "lon_deg": -72.685099,
            "speed_kmh": 88.0,
            "heading_deg": 271.3,
            "fix_age_ms": 310,
        },
        "image": None,
        "source": {
            "agent": "0.1.0",
            "detector": {"name": "plate-detector-1", "sha256": "a" * 16},
            "reader": {"name": "plate-reader-1", "sha256": "b" * 16},
        },
    }


def test_what_was_encoded_decodes_to_the_same() -> None:
    payload = encode(make_read("A?1"), position=None)
    assert decode_read(payload).encode() == payload


def test_the_draft_keeps_the_reads_id() -> None:
    read = make_read()
    entry = draft(read, agency="a", vehicle="v", source=SOURCE, clock=CLOCK, position=None)
    assert entry.key.id == read.id


FORBIDDEN = ("name", "address", "owner", "date_of_birth", "immigration_status", "citizenship", "note")
OBJECTS: tuple[tuple[str, ...], ...] = (
    (),
    ("clock",),
    ("plate",),
    ("plate", "region"),
    ("track",),
    ("position",),
    ("source",),
    ("source", "reader"),
)


@pytest.mark.parametrize("field", FORBIDDEN)
@pytest.mark.parametrize("where", OBJECTS, ids=".".join)
def test_no_person_can_be_put_into_a_record(field: str, where: tuple[str, ...]) -> None:
    message = record()
    target: Any = message
    for step in where:
        target = target[step]
    if field == "name" and where == ("source", "reader"):
        target[field] = "Jane Doe"  # the model's name: a pattern keeps words apart from it
    else:
        target[field] = "x"
    with pytest.raises(ContractError):
        decode_read(json.dumps(message).encode())


def _nodes(schema: object) -> list[Json]:
    """Every object of a schema, however deep."""
    if isinstance(schema, list):
        return [node for child in schema for node in _nodes(child)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(node for child in schema.values() for node in _nodes(child))]


def test_the_schema_has_no_open_object_and_no_free_text() -> None:
    nodes = _nodes(ReadRecord.model_json_schema(by_alias=True))
    objects = [node for node in nodes if node.get("type") == "object"]
    texts = [node for node in nodes if node.get("type") == "string"]
    assert len(objects) >= len(OBJECTS)
    assert all(node["additionalProperties"] is False for node in objects)
    assert all({"pattern", "enum", "const"} & node.keys() or node.get("format") == "uuid" for node in texts)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": "lpr.read/2"}, "schema"),
        ({"seq": 0}, "seq"),
        ({"seq": "7"}, "seq"),
        ({"seq": 2**53}, "seq"),
        ({"id": "7"}, "id"),
        ({"vehicle": "car/12"}, "vehicle"),
        ({"agency": "+"}, "agency"),
        ({"captured_at": "2026-07-04T12:00:00.123+00:00"}, "captured_at"),
        ({"captured_at": "2026-07-04T12:00:00Z"}, "captured_at"),
        ({"captured_at": "2026-13-04T12:00:00.123Z"}, "captured_at"),
        ({"captured_at": 1783166400}, "captured_at"),
        ({"box": [1, 2, 3]}, "box.3"),
        ({"clock": {"synchronized": True, "source": "sundial", "error_ms": None}}, "clock.source"),
        ({"position": {"lat_deg": 91}}, "position.lat_deg"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(change: Json, expected: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode_read(json.dumps(record() | change).encode())
    assert f"read record: {expected}: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"text": "ab1"}, {"text": ""}, {"text": "AB"}, {"confidence": 1.1}, {"confidence": None}]
)
def test_a_wrong_plate_is_refused_and_not_repeated(change: Json) -> None:
    message = record()
    message["plate"] |= change
    with pytest.raises(ContractError) as caught:
        decode_read(json.dumps(message).encode())
    assert "AB12CD3" not in str(caught.value)


def test_a_missing_field_is_refused() -> None:
    for field in record():
        message = record()
        del message[field]
        with pytest.raises(ContractError, match=field):
            decode_read(json.dumps(message).encode())


@given(st.binary(max_size=200))
def test_any_bytes_give_one_line(payload: bytes) -> None:
    with pytest.raises(ContractError) as caught:
        decode_read(payload)
    assert "\n" not in str(caught.value)


def test_deep_nesting_gives_one_line() -> None:
    with pytest.raises(ContractError):
        decode_read(b"[" * 100_000)


@pytest.mark.parametrize("text", ["", "ab12", "A B", "ABCDEFGHIJKLM"])
def test_a_read_that_the_contract_cannot_express_is_an_error(text: str) -> None:
    read = make_read(text)
    with pytest.raises(ContractError, match=str(read.id)):
        encode(read)


@pytest.mark.parametrize(("length", "limit"), [(12, BUDGET_BYTES), (32, BUDGET_BYTES + 100)])
def test_the_heaviest_read_stays_near_the_budget_and_keeps_its_plate(length: int, limit: int) -> None:
    name = "N" * length
    heavy = make_read(
        "W" * 12,
        camera=name,
        candidates=tuple(Candidate(text="M" * 12, confidence=0.111 - n / 1000) for n in range(9)),
        region=Region(code="us-wxy", confidence=0.123),
    )
    model = ModelUsed(name="M" * 20, sha256="f" * 16)
    entry = draft(
        heavy,
        agency=name,
        vehicle=name,
        source=Source(agent="1" * 16, detector=model, reader=model),
        clock=ClockState(synchronized=False, source="none", error_ms=10**6),
        position=Position(-89.123456, -179.123456, 123.4, 123.4, 10**6),
        pass_id=UUID(int=0),
    )
    payload = entry.encode(10**9)
    assert len(payload) + len(Topics("lpr", name, name).reads) + PACKET_BYTES <= limit
    assert decode_read(payload).plate.text == "W" * 12


def test_a_usual_read_keeps_its_five_first_candidates_in_their_order() -> None:
    read = make_read(candidates=tuple(Candidate(text="AB12C03", confidence=n / 100) for n in range(8)))
    candidates = decode_read(encode(read)).plate.candidates
    assert [confidence for _, confidence in candidates] == [0.0, 0.01, 0.02, 0.03, 0.04]


@given(
    text=st.text(ALPHABET + "?", min_size=1, max_size=12),
    seq=st.integers(1, 2**53 - 1),
    offset=st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000)),
    place=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    share=st.floats(-1e-6, 1 + 1e-6),
)
def test_every_read_fits_and_comes_back(
    text: str, seq: int, offset: timedelta, place: tuple[float, float], share: float
) -> None:
    read = make_read(text, candidates=(Candidate(text=text, confidence=share),) * 5, after_s=offset.total_seconds())
    payload = encode(read, seq=seq, position=Position(*place, None, None, 0))
    back = decode_read(payload)
    assert len(payload) + len(Topics("lpr", back.agency, back.vehicle).reads) + PACKET_BYTES <= BUDGET_BYTES
    assert (back.seq, back.plate.text, back.encode()) == (seq, text, payload)
    assert abs(back.captured_at - read.captured.utc) < timedelta(milliseconds=1)


@given(st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_is_a_version_7_uuid_of_the_capture_time(captured: datetime) -> None:
    made = new_id(captured)
    milliseconds = max(0, int(captured.timestamp() * 1000))
    assert (made.version, made.variant) == (7, uuid4().variant)
    assert made.int >> 80 == milliseconds


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_id(NOON + timedelta(milliseconds=n)) for n in range(100)]
    assert ids == sorted(ids)
    assert len({new_id(NOON) for _ in range(1000)}) == 1000
