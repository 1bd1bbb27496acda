import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.receipt import Receipt, decode_receipt
from edge_agent.contract.record import decode_read, draft
from edge_agent.contract.schema import documents, main
from edge_agent.contract.state import State
from edge_agent.contract.topics import GAPS, IMAGES, READS, Topics, every_vehicle, sender
from edge_agent.domain import ImageKey, ReadKey
from edge_agent.errors import ContractError
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read

PUBLISHED = Path(__file__).parents[2] / "docs" / "contract"


def schema(name: str) -> dict[str, Any]:
    return json.loads((PUBLISHED / name).read_text())  # type: ignore[no-any-return]


def valid(message: object, name: str) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return bool(jsonschema.Draft202012Validator(schema(name), format_checker=checker).is_valid(message))


def test_the_published_contract_is_the_one_the_program_speaks(tmp_path: Path) -> None:
    main(tmp_path)
    published = {path.name: path.read_text() for path in PUBLISHED.glob("*.json")}
    assert published == documents() == {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_a_read_fits_the_published_schema_and_a_stranger_does_not() -> None:
    entry = draft(make_read(), agency="a", vehicle="v", source=SOURCE, clock=CLOCK, position=POSITION)
    message = json.loads(entry.encode(1))
    assert valid(message, "read.schema.json")
    assert not valid(message | {"owner": "x"}, "read.schema.json")
    assert not valid(message | {"captured_at": "yesterday"}, "read.schema.json")


@pytest.mark.parametrize(
    ("message", "good"),
    [
        ({"ids": [str(uuid4())]}, True),
        ({"through_seq": 9}, True),
        ({"ids": [str(uuid4())], "through_seq": 9, "later": "field"}, True),
        ({"gaps": [str(uuid4())]}, True),
        ({"gaps": [7]}, False),
        ({"images": [[str(uuid4()), "ab" * 32]]}, True),
        ({"images": [str(uuid4())]}, False),
        ({"images": [[str(uuid4()), "ab"]]}, False),
        ({}, False),
        ({"ids": ["7"]}, False),
        ({"ids": "7"}, False),
        ({"through_seq": 0}, False),
        ({"through_seq": "9"}, False),
        ([], False),
    ],
)
def test_receipts_and_their_schema_agree(message: object, good: bool) -> None:
    assert valid(message, "receipt.schema.json") is good
    if good:
        decode_receipt(json.dumps(message).encode())
    else:
        with pytest.raises(ContractError, match=r"^receipt: "):
            decode_receipt(json.dumps(message).encode())


@given(st.binary(max_size=100))
def test_any_bytes_as_a_receipt_give_one_line(payload: bytes) -> None:
    with pytest.raises(ContractError) as caught:
        decode_receipt(payload)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strange", ["\n", "0\x1b[2J", "\u2028"])
def test_what_is_wrong_in_an_id_is_one_line_that_a_terminal_shows(strange: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode_receipt(json.dumps({"ids": [strange]}).encode())
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        (b'{"schema":', b'{"schema":"Jane Doe, 12 Main Street","schema":'),
        (b'"text":', b'"text":"JANE","text":'),
        (b'"camera":', b'"camera":{"name":"Jane Doe"},"camera":'),
    ],
)
def test_a_key_that_stands_twice_hides_nothing(once: bytes, twice: bytes) -> None:
    """Of the two values the last is checked, but the store keeps and gives out what came."""
    good = draft(make_read(), agency="a", vehicle="v", source=SOURCE, clock=CLOCK, position=POSITION).encode(1)
    assert decode_read(good)
    hidden = good.replace(once, twice, 1)
    assert hidden != good
    with pytest.raises(ContractError, match=r"^read record: a key stands twice$"):
        decode_read(hidden)


def test_a_receipt_comes_back() -> None:
    receipt = Receipt(ids=(uuid4(), uuid4()))
    assert decode_receipt(receipt.encode()) == receipt
    assert Receipt(through_seq=3).encode() == b'{"through_seq":3}'


def test_a_receipt_tells_reads_and_corrections_apart() -> None:
    one, other = ReadKey(uuid4()), ReadKey(uuid4(), 2)
    receipt = decode_receipt(Receipt.of([other, one]).encode())
    assert receipt.keys == (one, other)
    assert receipt.ids == (one.id,)


def test_a_receipt_names_pictures_by_read_and_hash() -> None:
    key = ImageKey(uuid4(), "0f" * 32)
    assert decode_receipt(Receipt.of([], images=[key]).encode()).image_keys == (key,)


def test_states_are_plain_words() -> None:
    assert (
        [str(state) for state in State] == schema("state.schema.json")["enum"] == ["online", "offline", "stopped"]
    )


def test_asyncapi_names_the_topics() -> None:
    channels = schema("asyncapi.json")["channels"]
    topics = Topics("site/lpr", "hpd", "car-12")
    for kind, topic in {"reads": topics.reads, "receipts": topics.receipts, "state": topics.state}.items():
        assert channels[kind]["address"].format(prefix="site/lpr", agency="hpd", vehicle="car-12") == topic
    assert topics.reads == "site/lpr/v1/hpd/car-12/reads"


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a#", "car 12", "$SYS", "ä", "x" * 33, "a\n"])
def test_a_name_that_cannot_be_in_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match="vehicle"):
        Topics("lpr", "a", name)
    with pytest.raises(ContractError, match="agency"):
        Topics("lpr", name, "v")


def test_a_prefix_may_have_parts_but_no_wildcard() -> None:
    assert every_vehicle("state/lpr", READS) == "state/lpr/v1/+/+/reads"
    for prefix in ("", "lpr/", "/lpr", "lpr/#", "+"):
        with pytest.raises(ContractError, match="prefix"):
            every_vehicle(prefix, READS)


def test_the_sender_is_told_from_the_topic() -> None:
    topics = Topics("state/lpr", "a", "v")
    assert sender("state/lpr", topics.reads) == (topics, READS, None)
    assert sender("state/lpr", topics.gaps) == (topics, GAPS, None)
    assert sender("state/lpr", topics.image(UUID(int=7))) == (topics, IMAGES, UUID(int=7))
    images = every_vehicle("state/lpr", IMAGES).removesuffix("+").replace("+", "a")
    for topic in (
        images,
        f"{images}7",
        f"{images}{UUID(int=7)}/b",
        topics.state,
        "lpr/v1/a/v/reads",
        "state/lpr/v1/a/reads",
        "state/lpr/v1/a/b/c/reads",
        "",
    ):
        with pytest.raises(ContractError):
            sender("state/lpr", topic)
