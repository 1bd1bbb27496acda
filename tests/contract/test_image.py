"""A read's picture: named in the record, alone on its topic, a line in a file."""

import hashlib
import json
from typing import Any
from uuid import UUID

import pytest

from edge_agent.contract.image import ImageRecord, decode_image, image_record
from edge_agent.contract.record import BUDGET_BYTES, IMAGE_NAMED_BYTES, decode_read, draft
from edge_agent.domain import Jpeg
from edge_agent.errors import ContractError
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read
from tests.contract.test_messages import valid

FILE = b"\xff\xd8\xff" + b"a plate" * 100


def line(**other: object) -> dict[str, Any]:
    record = image_record(FILE, agency="hpd", vehicle="car-12", read=UUID(int=7))
    return json.loads(record.encode()) | other  # type: ignore[no-any-return]


def test_a_line_comes_back_and_fits_the_published_schema() -> None:
    assert valid(line(), "image.schema.json")
    found = decode_image(json.dumps(line()).encode())
    assert (found.jpeg, found.key.read, found.key.sha256) == (FILE, UUID(int=7), hashlib.sha256(FILE).hexdigest())


@pytest.mark.parametrize(
    "wrong",
    [
        {"jpeg": "AB12CD3 "}, {"jpeg": "QUIxMkNEMw=="}, {"jpeg": ""}, {"jpeg": 7}, {"id": "7"}, {"agency": "a/b"},
        {"schema": "lpr.image/2"}, {"owner": "x"},
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=r"^image: ") as caught:
        decode_image(json.dumps(line(**wrong)).encode())
    assert "\n" not in str(caught.value)
    assert "AB12" not in str(caught.value)


@pytest.mark.parametrize("payload", [b"", b"GIF89a", FILE * 100], ids=["empty", "gif", "too long"])
def test_what_comes_on_the_topic_and_is_no_picture_is_refused(payload: bytes) -> None:
    with pytest.raises(ContractError, match=r"^image: .*(JPEG|65535)"):
        image_record(payload, agency="a", vehicle="v", read=UUID(int=7))


def test_the_record_names_its_picture_and_keeps_its_candidates() -> None:
    said = {"agency": "a" * 32, "vehicle": "v" * 32, "source": SOURCE, "clock": CLOCK, "position": POSITION}
    plain = draft(make_read(), **said)  # type: ignore[arg-type]
    pictured = draft(make_read(), **said, image=Jpeg(FILE, 120, 60))  # type: ignore[arg-type]
    assert (plain.image, pictured.image) == (None, FILE)
    record = decode_read(pictured.encode(2**40))
    assert record.image is not None
    assert record.image.model_dump() == {
        "sha256": hashlib.sha256(FILE).hexdigest(), "bytes": len(FILE), "width": 120, "height": 60,
    }  # fmt: skip
    assert record.plate == decode_read(plain.encode(2**40)).plate
    assert len(pictured.encode(2**40)) <= BUDGET_BYTES + IMAGE_NAMED_BYTES
    assert ImageRecord.model_fields.keys() == {"schema_", "agency", "vehicle", "id", "jpeg"}
