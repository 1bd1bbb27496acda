"""From the broker into the database, and the receipts back."""

import json
from collections.abc import Sequence

import pytest

from edge_agent.contract.ids import new_id
from edge_agent.errors import BrokerError
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    Disconnected,
    Event,
    Message,
    Received,
    Subscribed,
    SubscriptionRefused,
)
from examples.central_store.database import Batch, Database, StoreError
from examples.central_store.intake import from_broker
from examples.central_store.service import BATCH, Store
from tests.central_store.messages import CAR, OTHER, FakeLink, gap, id_of, payload, topic_of
from tests.central_store.places import Place
from tests.contract.reads import NOON


@pytest.fixture
def store(database: Database, link: FakeLink) -> Store:
    return Store(database=database, link=link, prefix="lpr")


def received(*payloads: bytes) -> list[Event]:
    return [Received(topic_of(one), one) for one in payloads]


def test_a_repeat_is_receipted_again(store: Store, link: FakeLink, place: Place) -> None:
    read = payload(1)
    link.events += received(read, read)
    store.step()
    link.events += received(read)
    store.step()
    assert place.rows("SELECT vehicle, seq, plate FROM reads") == [("car-1", 1, "AB12CD3")]
    assert link.receipts() == [(CAR.receipts, {"ids": [id_of(read)]})] * 2


def test_a_correction_and_a_gap_record_are_receipted_by_their_names(store: Store, link: FakeLink) -> None:
    first = payload(1, text="A812CD3")
    account = gap((3, 5))
    link.events += received(first, payload(2, id_text=id_of(first), revision=1), account)
    store.step()
    names = {"ids": [id_of(first)], "corrections": [[id_of(first), 1]], "gaps": [id_of(account)]}
    assert link.receipts() == [(CAR.receipts, names)]


def test_a_receipt_goes_out_after_the_commit_alone(
    store: Store, link: FakeLink, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def publish(message: Message) -> int:
        seen.append(len(place.rows("SELECT id FROM reads")))
        return 1

    monkeypatch.setattr(link, "publish", publish)
    link.events += received(payload(1), payload(2))
    store.step()
    assert seen == [2]


def test_a_vehicle_speaks_for_itself_alone(store: Store, link: FakeLink, place: Place) -> None:
    foreign, own, account = payload(1, OTHER), payload(1, OTHER), gap((1, 2), topics=OTHER)
    link.events += [Received(CAR.reads, foreign), Received(OTHER.reads, own), Received(CAR.gaps, account)]
    store.step()
    assert place.rows("SELECT vehicle FROM reads") == [("car-2",)]
    assert place.rows("SELECT topic, reason FROM rejected ORDER BY topic") == [
        (CAR.gaps, f"gap record {id_of(account)}: names another vehicle than its topic"),
        (CAR.reads, f"read {id_of(foreign)}: names another vehicle than its topic"),
    ]
    assert link.receipts() == [(OTHER.receipts, {"ids": [id_of(own)]})]


@pytest.mark.parametrize("apart", [False, True])
def test_another_read_under_a_known_id_is_rejected(store: Store, link: FakeLink, place: Place, apart: bool) -> None:
    id_ = str(new_id(NOON))
    link.events += received(payload(1, id_text=id_))
    if apart:
        store.step()
    link.events += received(payload(1, OTHER, text="ZZ99", id_text=id_))
    store.step()
    assert place.rows("SELECT vehicle, plate FROM reads") == [("car-1", "AB12CD3")]
    assert place.rows("SELECT topic, reason FROM rejected") == [
        (OTHER.reads, f"read {id_}: is here already with other contents")
    ]
    assert link.receipts() == [(CAR.receipts, {"ids": [id_]})]


def test_messages_of_other_kinds_and_strange_ones_are_rejected_and_stop_nobody(
    store: Store, link: FakeLink, place: Place
) -> None:
    strange = json.dumps(json.loads(payload(1)) | {"o\u0000ther\nfi\u00e9ld": 1}).encode()
    link.events += [
        Received(CAR.reads, gap((1, 2))),
        Received(CAR.gaps, payload(1)),
        Received("lpr/v1/hpd/car-1/state", b"online"),
        Received(CAR.reads, strange),
        Received(CAR.reads, b"\xff\x00\xe9"),
        *received(read := payload(4)),
    ]
    store.step()
    assert link.receipts() == [(CAR.receipts, {"ids": [id_of(read)]})]
    reasons = [reason for (reason,) in place.rows("SELECT reason FROM rejected")]
    assert len(reasons) == 5
    assert all(reason.isprintable() for reason in reasons)


def test_a_topic_as_long_as_mqtt_takes_is_cut(
    store: Store, link: FakeLink, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    link.events += [Received("lpr/v1/hpd/car-1/images/" + "\u2028" * 20_000, b"x")]
    store.step()
    ((topic, reason),) = place.rows("SELECT topic, reason FROM rejected")
    assert max(map(len, (topic, reason))) <= 400
    assert max(map(len, caplog.messages)) < 1000


def test_a_flood_of_rubbish_is_a_few_lines(store: Store, link: FakeLink, caplog: pytest.LogCaptureFixture) -> None:
    link.events += [Received(CAR.reads, b"rubbish %d" % k) for k in range(200)]
    store.step()
    said = [message for message in caplog.messages if message.startswith("rejected")]
    assert len(said) == 11
    assert said[-1] == "rejected 190 more"


def test_a_broker_that_refuses_receipts_is_named_once_for_each_vehicle(
    store: Store, link: FakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    def answered(code: int, reason: str) -> list[str]:
        link.events += received(payload(1), payload(2, OTHER))
        store.step()
        link.events += [Acknowledged(mid, code, reason) for mid in (len(link.published) - 1, len(link.published))]
        store.step()
        said = [message for message in caplog.messages if "refuses" in message]
        caplog.clear()
        return sorted(said)

    refused = [
        f"the broker refuses receipts on {one.receipts} (Not authorized): check its access rules"
        for one in (CAR, OTHER)
    ]
    assert answered(0x87, "Not authorized") == refused
    assert answered(0x87, "Not authorized") == []
    assert answered(0x10, "No matching subscribers") == []
    assert answered(0x87, "Not authorized") == refused
    assert len(link.published) == 8


def test_receipts_keep_to_the_brokers_window(store: Store, link: FakeLink) -> None:
    link.events += received(*(payload(seq) for seq in range(1, 451)))
    for _ in range(5):
        store.step()
    assert len(link.published) == 2
    link.events += [Acknowledged(1, 0, "Success"), Acknowledged(2, 0x10, "No matching subscribers")]
    store.step()
    assert len(link.published) == 4
    link.events += [Disconnected("gone")]
    store.step()
    link.events += [Connected(receive_maximum=100, maximum_packet_size=None)]
    store.step()
    names = [receipt["ids"] for _, receipt in link.receipts()]
    assert all(isinstance(ids, list) and len(ids) <= 100 for ids in names)
    assert len({one for ids in names if isinstance(ids, list) for one in ids}) == 450


def test_receipts_that_were_under_way_when_the_connection_was_lost_go_again(store: Store, link: FakeLink) -> None:
    other = payload(1, OTHER)
    link.events += received(payload(1))
    store.step()
    link.events += [Acknowledged(1, 0, "Success"), *received(other)]
    store.step()
    assert len(link.published) == 2
    link.events += [Disconnected("gone"), *received(payload(2, OTHER))]
    store.step()
    assert len(link.published) == 2
    link.events += [Connected(receive_maximum=100, maximum_packet_size=None)]
    store.step()
    [(topic, names)] = link.receipts()[2:]
    assert topic == OTHER.receipts
    assert isinstance(names["ids"], list)
    assert names["ids"][0] == id_of(other)
    assert len(names["ids"]) == 2


def test_a_receipt_that_finds_no_connection_is_still_owed(
    store: Store, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = payload(1)
    with monkeypatch.context() as lost:
        lost.setattr(link, "publish", lambda _message: None)
        link.events += received(read)
        store.step()
    link.events += [Disconnected("gone"), Connected(receive_maximum=100, maximum_packet_size=None)]
    store.step()
    assert link.receipts() == [(CAR.receipts, {"ids": [id_of(read)]})]


@pytest.mark.parametrize("packet_bytes", [100, 1200, 4000])
def test_receipts_fit_the_packets_that_the_broker_takes(store: Store, link: FakeLink, packet_bytes: int) -> None:
    link.events += [Connected(receive_maximum=200, maximum_packet_size=packet_bytes)]
    link.events += received(*(payload(seq) for seq in range(1, 101)))
    for _ in range(5):
        store.step()
    assert sum(len(receipt["ids"]) for _, receipt in link.receipts() if isinstance(receipt["ids"], list)) == 100
    longest = max(len(message.payload) for message in link.published)
    assert longest <= max(packet_bytes - 50, 60)


class Away:
    """A database that is away for a while."""

    def __init__(self, *, failures: Sequence[str]) -> None:
        self.failures = list(failures)
        self.kept: list[Batch] = []

    def keep(self, batch: Batch) -> Batch:
        if self.failures:
            raise StoreError(self.failures.pop(0))
        self.kept.append(batch)
        return batch


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.central_store.service._STEP_S", 0.0)
    monkeypatch.setattr("examples.central_store.service.LONGEST_PAUSE_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_database_that_is_away_gives_no_receipt_until_it_is_back(
    link: FakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    database = Away(failures=["it is away", "it is away", "it is full"])
    store = Store(database=database, link=link, prefix="lpr")
    link.events += received(*(payload(seq) for seq in range(1, BATCH + 3)))
    with caplog.at_level("INFO"):
        for failures_left in (2, 1, 0):
            store.step()
            assert len(database.failures) == failures_left
            assert link.published == []
            assert len(link.events) == 2  # the rest waits where its bound is
        store.step()
        store.step()
    assert [record.message for record in caplog.records] == [
        "it is away; trying again",
        "it is full; trying again",
        "the database takes reads again",
    ]
    assert [len(batch.records) for batch in database.kept] == [BATCH, 2]


@pytest.mark.usefixtures("impatient")
def test_while_the_database_is_away_the_broker_is_listened_to(link: FakeLink) -> None:
    store = Store(database=Away(failures=["away"] * 9), link=link, prefix="lpr")
    link.events += [*received(payload(1)), Disconnected("gone")]
    for _ in range(3):
        store.step()
    assert link.events == []


def test_a_broker_that_stays_away_is_one_line(link: FakeLink, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(database=Away(failures=[]), link=link, prefix="lpr")
    away = Disconnected("the broker is away")
    link.events += [away, away, away, Connected(1, None), *[Subscribed()] * 3, away]
    with caplog.at_level("WARNING"):
        store.step()
    assert [record.message for record in caplog.records] == ["the broker is away"] * 2


LISTENING = "listening to lpr/v1/+/+/reads and lpr/v1/+/+/gaps and lpr/v1/+/+/images/+"
SAME_NAME = "another program connects with the same name: give each worker a certificate with a name of its own"


@pytest.mark.parametrize("reason", ["connection lost", "ended the connection (Session taken over)"])
def test_who_is_thrown_out_again_and_again_says_once_what_may_be_wrong(
    link: FakeLink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    store = Store(database=Away(failures=[]), link=link, prefix="lpr")
    again: list[Event] = [Connected(1, None), *[Subscribed()] * 3, Disconnected(reason)]
    link.events = again * 5
    with caplog.at_level("INFO"):
        store.step()
    said = [record.message for record in caplog.records]
    assert (said[0], said[2]) == (LISTENING, LISTENING)
    assert said[1].startswith(reason)
    assert SAME_NAME in said[3]
    assert len(said) == 4
    assert (SAME_NAME in said[1]) == ("taken over" in reason)
    link.events = again[:-1]
    store.step()
    assert len(caplog.records) == 4
    monkeypatch.setattr("examples.central_store.service._SHORT_S", 0.0)
    with caplog.at_level("INFO"):
        store.step()
        store.step()
    assert [record.message for record in caplog.records[4:]] == [LISTENING]


def test_a_refused_subscription_ends_the_store(link: FakeLink) -> None:
    store = Store(database=Away(failures=[]), link=link, prefix="lpr")
    link.events.append(SubscriptionRefused("Not authorized"))
    with pytest.raises(BrokerError, match="refuses the subscription"):
        store.step()


@pytest.mark.parametrize(("group", "shared"), [(None, ""), ("stores", "$share/stores/")])
def test_a_worker_of_a_group_shares_all_that_comes(link: FakeLink, group: str | None, shared: str) -> None:
    Store(database=Away(failures=[]), link=link, prefix="site/lpr", group=group).step()
    assert link.filters == [f"{shared}site/lpr/v1/+/+/{kind}" for kind in ("reads", "gaps", "images/+")]


def test_the_log_does_not_tell_the_groups_name(link: FakeLink, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(database=Away(failures=[]), link=link, prefix="lpr", group="a-secret")
    link.events += [Subscribed()] * 3
    with caplog.at_level("INFO"):
        store.step()
    assert [record.message for record in caplog.records] == [f"{LISTENING}, as one of a group"]


def test_batches_put_keys_in_order_so_that_workers_do_not_block_each_other() -> None:
    reads = [payload(seq) for seq in range(1, 30)]
    one, two = (Batch.of(from_broker(CAR.reads, read, "lpr") for read in order) for order in (reads, reads[::-1]))
    assert list(one.records) == list(two.records)
