"""Pictures of plates: taken only where a read of the same vehicle names them."""

import hashlib
import json
from contextlib import closing
from uuid import UUID, uuid4

import psycopg
import pytest

from edge_agent.contract.record import decode_read
from edge_agent.mqtt import Acknowledged, Received
from examples.central_store import postgres_keep, sqlite
from examples.central_store.database import REJECTED_BYTES, Database
from examples.central_store.images import image_named
from examples.central_store.service import Store
from tests.central_store.messages import CAR, JPEG, OTHER, FakeLink, id_of, keep, key_of, payload, picture
from tests.central_store.places import Place, PostgresPlace, SqliteFile
from tests.contract.reads import NOON

LARGEST = JPEG[:3] + bytes(65532)
SHA256 = hashlib.sha256(JPEG).hexdigest()


@pytest.fixture
def store(database: Database, link: FakeLink) -> Store:
    return Store(database=database, link=link, prefix="lpr")


def read_event(read: bytes) -> Received:
    return Received(CAR.reads, read)


def pictures(place: Place) -> list[tuple[str, str, bytes, int]]:
    """The vehicle, the hash, the file and how often it came."""
    rows = place.rows("SELECT vehicle, sha256, jpeg, deliveries FROM images ORDER BY stored_at, sha256")
    return [(vehicle, sha256, bytes(jpeg), count) for vehicle, sha256, jpeg, count in rows]


def test_a_picture_is_stored_under_its_read_and_receipted(store: Store, link: FakeLink, place: Place) -> None:
    read = payload(1, jpeg=JPEG)
    link.events.append(read_event(read))
    store.step()
    link.events.append(picture(read))
    store.step()
    assert pictures(place) == [("car-1", SHA256, JPEG, 1)]
    assert [(str(id_), agency) for id_, agency in place.rows("SELECT id, agency FROM images")] == [
        (id_of(read), "hpd")
    ]
    assert link.receipts() == [
        (CAR.receipts, {"ids": [id_of(read)]}),
        (CAR.receipts, {"images": [[id_of(read), SHA256]]}),
    ]


def test_a_read_of_the_same_commit_counts_whichever_came_first(store: Store, link: FakeLink, place: Place) -> None:
    one, two = payload(1, jpeg=JPEG), payload(2, jpeg=LARGEST)
    link.events += [picture(one), read_event(one), read_event(two), picture(two, LARGEST)]
    store.step()
    assert sorted(jpeg for _, _, jpeg, _ in pictures(place)) == sorted([JPEG, LARGEST])
    ((topic, names),) = link.receipts()
    assert topic == CAR.receipts
    assert names["ids"] == sorted([id_of(one), id_of(two)])
    assert isinstance(names["images"], list)
    assert sorted(names["images"]) == sorted(map(_texts, [key_of(one), key_of(two, LARGEST)]))


def _texts(key: tuple[UUID, str]) -> list[str]:
    return list(map(str, key))


def test_a_repeat_is_counted_and_receipted_again(store: Store, link: FakeLink, place: Place) -> None:
    read = payload(1, jpeg=JPEG)
    link.events += [read_event(read), picture(read), picture(read)]
    store.step()
    link.events.append(picture(read))
    store.step()
    assert pictures(place) == [("car-1", SHA256, JPEG, 3)]
    assert [names["images"] for _, names in link.receipts()] == [[[id_of(read), SHA256]]] * 2


def test_a_correction_may_name_another_picture_and_both_are_kept(database: Database, place: Place) -> None:
    first = payload(1, jpeg=JPEG)
    correction = payload(2, id_text=id_of(first), revision=1, jpeg=LARGEST)
    kept = keep(database, first, correction, picture(first), picture(first, LARGEST))
    assert not kept.rejected
    assert {jpeg for _, _, jpeg, _ in pictures(place)} == {JPEG, LARGEST}


def test_receipts_of_pictures_name_a_hundred_at_most(store: Store, link: FakeLink, place: Place) -> None:
    reads = [payload(seq, jpeg=JPEG) for seq in range(1, 121)]
    link.events += [*map(read_event, reads), *map(picture, reads)]
    for _ in range(2):
        store.step()
        link.events += [Acknowledged(mid, 0, "Success") for mid in range(1, 10)]
    store.step()
    names = [names for _, names in link.receipts()]
    counts = [sum(len(named) for named in one.values() if isinstance(named, list)) for one in names]
    assert counts == [100, 100, 40]
    assert {tuple(one) for named in names for one in named.get("images", [])} == {  # type: ignore[attr-defined]
        (id_of(read), SHA256) for read in reads
    }
    assert place.rows("SELECT count(*) FROM images") == [(120,)]


READ = payload(1, jpeg=JPEG)
PLAIN = payload(2)
UNNAMED = "no read here names it"
STRANGERS: dict[str, tuple[Received, str]] = {
    "of a read that is not here": (picture(payload(1, jpeg=JPEG)), UNNAMED),
    "of another vehicle": (picture(READ, topics=OTHER), UNNAMED),
    "with another hash": (picture(READ, JPEG + b"."), UNNAMED),
    "of a read that names none": (picture(PLAIN), UNNAMED),
    "no JPEG": (picture(READ, b"GIF89a"), "is no JPEG file"),
    "empty": (picture(READ, b""), "is no JPEG file"),
    "of 70 KB": (picture(READ, JPEG[:3] + bytes(70_000)), "at most 65535 bytes"),
    "on no topic of a read": (Received(CAR.image(uuid4()) + "/x", JPEG), "lpr/v1/+/+/images/+"),
}


@pytest.mark.parametrize(("came", "reason"), STRANGERS.values(), ids=STRANGERS)
def test_what_no_read_names_is_rejected_and_stops_nobody(
    store: Store, link: FakeLink, place: Place, came: Received, reason: str
) -> None:
    another = payload(3, jpeg=LARGEST)
    link.events += [read_event(READ), read_event(PLAIN), came, read_event(another), picture(another, LARGEST)]
    store.step()
    link.events.append(came)
    store.step()
    ((topic, rejected, why, deliveries),) = place.rows("SELECT topic, payload, reason, deliveries FROM rejected")
    assert (topic, bytes(rejected), deliveries) == (came.topic, came.payload[:REJECTED_BYTES], 2)
    assert reason in why
    assert why.isprintable()
    assert [jpeg for _, _, jpeg, _ in pictures(place)] == [LARGEST]
    ((topic, names),) = link.receipts()
    assert (topic, names["images"]) == (CAR.receipts, [_texts(key_of(another, LARGEST))])


def test_the_same_picture_from_another_vehicle_gives_that_one_nothing(
    store: Store, link: FakeLink, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    link.events += [read_event(READ), picture(READ)]
    store.step()
    foreign = picture(READ, topics=OTHER)
    link.events.append(foreign)
    store.step()
    assert pictures(place) == [("car-1", SHA256, JPEG, 1)]
    assert [topic for topic, _ in link.receipts()] == [CAR.receipts]
    reason = f"image of read {id_of(READ)}: no read here names it"
    assert place.rows("SELECT topic, reason FROM rejected") == [(foreign.topic, reason)]
    assert caplog.messages == [f"rejected on {foreign.topic}: {reason}"]


def test_what_another_vehicle_sends_in_the_same_commit_takes_nothing_from_the_owner(
    store: Store, link: FakeLink, place: Place
) -> None:
    link.events += [read_event(READ), picture(READ, topics=OTHER), picture(READ)]
    store.step()
    assert pictures(place) == [("car-1", SHA256, JPEG, 1)]
    assert link.receipts() == [(CAR.receipts, {"ids": [id_of(READ)], "images": [[id_of(READ), SHA256]]})]


def test_two_vehicles_whose_reads_name_the_same_picture_both_have_it_receipted(
    store: Store, link: FakeLink, place: Place
) -> None:
    correction = payload(1, OTHER, id_text=id_of(READ), revision=1, jpeg=JPEG)
    link.events += [read_event(READ), Received(OTHER.reads, correction), picture(READ), picture(READ, topics=OTHER)]
    store.step()
    assert [jpeg for _, _, jpeg, _ in pictures(place)] == [JPEG]
    assert {topic: names["images"] for topic, names in link.receipts()} == {
        topics.receipts: [[id_of(READ), SHA256]] for topics in (CAR, OTHER)
    }


def test_a_read_that_was_refused_names_no_picture(database: Database, place: Place) -> None:
    keep(database, PLAIN)
    other = payload(2, id_text=id_of(PLAIN), jpeg=JPEG)
    assert not keep(database, other, picture(other)).records
    assert pictures(place) == []


def test_a_record_names_what_the_contract_finds_in_it(database: Database, place: Place) -> None:
    """With a number that the contract takes for 0, and PostgreSQL for an error."""
    read = READ.replace(b'"speed_kmh": 88.0', b'"speed_kmh": 1e-200000')
    assert read != READ
    assert decode_read(read).image is not None
    assert not keep(database, read, picture(READ)).rejected
    assert pictures(place) == [("car-1", SHA256, JPEG, 1)]


def test_what_is_no_record_today_names_no_picture() -> None:
    assert image_named("{}") is None
    assert image_named(PLAIN.decode()) is None
    assert image_named(json.dumps(json.loads(READ), indent=1)) == key_of(READ)


# Each kind of database alone: no table is read as a whole


def test_sqlite_finds_reads_and_pictures_by_an_index(sqlite_file: SqliteFile) -> None:
    with closing(sqlite.SqliteDatabase(sqlite_file.path)) as database:
        for query, values in ((sqlite._NAMING, ("x",)), (sqlite._DELETE_IMAGES, {"before": "x"})):
            plan = database._connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
            steps = [step for *_, step in plan]
            assert not [step for step in steps if step.startswith("SCAN")]
            assert any("SEARCH reads USING INDEX sqlite_autoindex_reads_1 (id=?)" in step for step in steps)


def test_postgresql_looks_into_the_month_of_the_read_alone(postgres: PostgresPlace) -> None:
    reads = [payload(seq) for seq in range(1, 301)]
    with closing(postgres.open()) as database:
        keep(database, *reads, payload(301, at=NOON.replace(month=8)))
    with psycopg.connect(postgres.name) as connection:
        rows = connection.execute(
            "EXPLAIN ANALYZE " + postgres_keep._NAMING, ([UUID(id_of(one)) for one in reads],)
        )
        plan = [line for (line,) in rows]
    assert not [line for line in plan if "Seq Scan" in line]
    (july,) = (line for line in plan if " on reads_2026_07 " in line)
    (august,) = (line for line in plan if " on reads_2026_08 " in line)
    assert "reads_2026_07_id_idx" in "\n".join(plan)
    assert "never executed" not in july
    assert "never executed" in august
