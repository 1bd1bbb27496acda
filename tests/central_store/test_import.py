"""Reads that come by stick instead of by radio."""

import errno
import json
import os
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from edge_agent.contract.image import image_record
from edge_agent.contract.line import line_of
from edge_agent.contract.receipt import Receipt, decode_receipt
from edge_agent.contract.record import decode_read
from edge_agent.contract.topics import Topics
from examples.central_store.commands import main
from tests.central_store.messages import CAR, JPEG, OTHER, gap, id_of, keep, key_of, payload, picture
from tests.central_store.places import Place, SqliteFile


def stick(tmp_path: Path, *lines: bytes, name: str = "export.jsonl", end: bytes = b"\n") -> Path:
    path = tmp_path / "stick" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\n".join(lines) + end)
    return path


def take(place: Place, *paths: Path) -> int:
    receipts = paths[0].parent
    return main(["import", "--database", place.name, "--receipts", str(receipts), *map(str, paths)])


def receipts(path: Path, topics: Topics) -> list[Receipt]:
    file = path.parent / f"receipts-{topics.agency}-{topics.vehicle}.jsonl"
    return [decode_receipt(line) for line in file.read_bytes().splitlines()]


def test_a_file_without_records_is_no_success(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = stick(tmp_path, end=b"")
    assert take(place, file) == 1
    assert capsys.readouterr().err == f"central store: no record in {file}\n"


def test_a_stick_is_taken_like_messages_and_goes_back_with_receipts(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came, only_here, account, others = payload(1), payload(2), gap((4, 5)), payload(7, OTHER)
    correction = payload(3, id_text=id_of(came), revision=1)
    with closing(place.open()) as database:
        keep(database, came)
    path = stick(tmp_path, came, only_here, account, others, correction)
    for _ in range(2):
        assert take(place, path) == 0
        assert capsys.readouterr().out == ("hpd/car-1: 4 records in the store\nhpd/car-2: 1 record in the store\n")
        assert place.rows("SELECT vehicle, seq FROM reads ORDER BY vehicle, seq") == [
            ("car-1", 1), ("car-1", 2), ("car-1", 3), ("car-2", 7)
        ]  # fmt: skip
        (receipt,) = receipts(path, CAR)
        assert {str(id_) for id_ in receipt.ids} == {id_of(came), id_of(only_here)}
        assert [(str(id_), revision) for id_, revision in receipt.corrections] == [(id_of(came), 1)]
        assert [str(id_) for id_ in receipt.gaps] == [id_of(account)]
        assert [str(id_) for (id_,) in (one.ids for one in receipts(path, OTHER))] == [id_of(others)]
    assert sorted(found.name for found in path.parent.iterdir()) == [
        "export.jsonl",
        "receipts-hpd-car-1.jsonl",
        "receipts-hpd-car-2.jsonl",
    ]


def test_many_lines_give_receipts_of_a_hundred_names(place: Place, tmp_path: Path) -> None:
    path = stick(tmp_path, *(payload(seq) for seq in range(1, 1052)))
    more = stick(tmp_path, *(payload(seq) for seq in range(1052, 1061)), name="more.jsonl")
    assert take(place, path, more) == 0
    assert [len(receipt.keys) for receipt in receipts(path, CAR)] == [100] * 10 + [60]
    assert place.rows("SELECT count(*), max(seq) FROM reads") == [(1060, 1060)]


def test_what_a_stick_changed_is_rejected_and_has_no_receipt(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = payload(1), payload(2, text="AB12CD3")
    path = stick(tmp_path, line_of(good).rstrip(), line_of(bad).rstrip().replace(b"AB12CD3", b"AB12CD2"))
    assert take(place, path) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"central store: {path}:2: is damaged: its checksum does not fit"
    ]
    assert place.rows("SELECT record FROM reads") in ([(good.decode(),)], [(json.loads(good),)])
    assert [[str(id_) for id_ in one.ids] for one in receipts(path, CAR)] == [[id_of(good)]]


def test_damaged_and_foreign_lines_are_named_and_the_others_stored(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = payload(1), payload(9)
    foreign = json.dumps(json.loads(payload(2)) | {"owner": "somebody"}).encode()
    lines = [
        first, b"", b"\xff\xfe\x00", b"[1]", b'{"schema": ["lpr.read/1"]}', b'{"ids":[]}', foreign,
        b"[" * 9000, b"0" * 140000, last + b"\r", gap((3, 4))[:90],
    ]  # fmt: skip
    path = stick(tmp_path, *lines, end=b"")
    assert take(place, path) == 1
    said = capsys.readouterr().err.splitlines()
    nothing = "is damaged, or no record of a read, a gap or a picture"
    assert said == [
        *(f"central store: {path}:{number}: {nothing}" for number in (3, 4, 5, 6)),
        f"central store: {path}:7: read record: owner: Extra inputs are not permitted",
        *(f"central store: {path}:{number}: {nothing}" for number in (8, 9, 11)),
    ]
    assert place.rows("SELECT seq FROM reads ORDER BY seq") == [(1,), (9,)]
    assert place.rows("SELECT topic FROM rejected") == []
    assert [{str(id_) for id_ in one.ids} for one in receipts(path, CAR)] == [{id_of(first), id_of(last)}]


LARGEST = JPEG[:3] + bytes(65532)


def line(read: bytes, jpeg: bytes = JPEG, topics: Topics = CAR) -> bytes:
    record = image_record(jpeg, agency=topics.agency, vehicle=topics.vehicle, read=UUID(id_of(read)))
    return record.encode()


def test_pictures_come_by_stick_after_their_reads(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_radio, one, two = payload(1, jpeg=JPEG), payload(2, jpeg=LARGEST), payload(3, OTHER, jpeg=JPEG)
    with closing(place.open()) as database:
        keep(database, by_radio, picture(by_radio))
    path = stick(tmp_path, one, two, line(by_radio), line(one, LARGEST), line(two, topics=OTHER))
    for times in (1, 2):
        assert take(place, path) == 0
        assert capsys.readouterr().out == ("hpd/car-1: 3 records in the store\nhpd/car-2: 2 records in the store\n")
        assert [
            (bytes(jpeg), count)
            for jpeg, count in place.rows("SELECT jpeg, deliveries FROM images ORDER BY vehicle, length(jpeg)")
        ] == [
            (JPEG, 1 + times),
            (LARGEST, times),
            (JPEG, times),
        ]
        (receipt,) = receipts(path, CAR)
        assert set(receipt.image_keys) == {key_of(by_radio), key_of(one, LARGEST)}
        assert receipts(path, OTHER) == [Receipt.of([decode_read(two).key], images=[key_of(two)])]


def test_pictures_that_no_read_names_and_damaged_ones_are_named(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read, absent = payload(1, jpeg=JPEG), payload(2, jpeg=JPEG)
    whole = line(read)
    lines = [
        read, line(absent), line(read, JPEG + b"."), line(read, topics=OTHER), whole.replace(b"/9j/", b"R0lG"),
        whole.replace(b'"/9j/', b'"!9j/'), whole, line(read, LARGEST)[:40_000],
    ]  # fmt: skip
    path = stick(tmp_path, *lines, end=b"")
    assert take(place, path) == 1
    said = [one.removeprefix(f"central store: {path}:") for one in capsys.readouterr().err.splitlines()]
    assert said == [
        f"2: image of read {id_of(absent)}: no read here names it",
        *(f"{number}: image of read {id_of(read)}: no read here names it" for number in (3, 4)),
        "5: image: message: Value error, jpeg: is no JPEG file",
        "6: image: jpeg: Value error, Only base64 data is allowed",
        "8: is damaged, or no record of a read, a gap or a picture",
    ]
    assert [bytes(jpeg) for (jpeg,) in place.rows("SELECT jpeg FROM images")] == [JPEG]
    assert [one.image_keys for one in receipts(path, CAR)] == [(key_of(read),)]
    assert [found.name for found in sorted(path.parent.iterdir())] == ["export.jsonl", "receipts-hpd-car-1.jsonl"]


def test_a_known_id_with_other_contents_is_rejected_as_a_message_would_be(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = payload(1)
    path = stick(tmp_path, read, payload(1, text="ZZ99", id_text=id_of(read)))
    assert take(place, path) == 1
    reason = f"read {id_of(read)}: is here already with other contents"
    assert capsys.readouterr().err == f"central store: {path}:2: {reason}\n"
    assert place.rows("SELECT topic, reason FROM rejected") == [(f"{path}:2", reason)]
    assert [one.keys for one in receipts(path, CAR)] == [(decode_read(read).key,)]


def test_vehicles_whose_names_run_together_share_a_file(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    one, two = payload(1, Topics("lpr", "a-b", "c")), payload(1, Topics("lpr", "a", "b-c"))
    path = stick(tmp_path, one, two)
    assert take(sqlite_file, path) == 0
    lines = (path.parent / "receipts-a-b-c.jsonl").read_bytes().splitlines()
    assert {str(id_) for line in lines for id_ in decode_receipt(line).ids} == {id_of(one), id_of(two)}


def test_no_receipt_without_a_commit(
    sqlite_file: SqliteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stick(tmp_path, payload(1))
    with closing(sqlite_file.open()) as database:
        database._connection.execute(  # type: ignore[attr-defined]
            "CREATE TRIGGER refuse BEFORE INSERT ON reads BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert take(sqlite_file, path) == 1
    assert capsys.readouterr().err == f"central store: database {sqlite_file.name}: no\n"
    assert [found.name for found in path.parent.iterdir()] == ["export.jsonl"]


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_stick_that_takes_no_receipts_does_not_hide_that_its_records_are_in_the_store(
    place: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "receipts.part")

    path = stick(tmp_path, payload(1))
    with monkeypatch.context() as stuck:
        if code == errno.EROFS:
            stuck.setattr(Path, "unlink", refuse)
        stuck.setattr("examples.central_store.files.os.fsync", refuse)
        assert take(place, path) == 1
    seen = capsys.readouterr()
    assert seen.out == "hpd/car-1: 1 record in the store\n"
    assert seen.err == (
        "central store: the records are in the store, but their receipts could not be written to"
        f" {path.parent}: {os.strerror(code)}\n"
    )
    assert place.rows("SELECT seq FROM reads") == [(1,)]


def test_receipts_are_for_their_owner_alone(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    path = stick(tmp_path, payload(1))
    left = path.with_name(".receipts-hpd-car-1.jsonl.part")
    left.write_bytes(b"left behind")
    left.chmod(0o644)
    assert take(sqlite_file, path) == 0
    (file,) = path.parent.glob("receipts-*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_names_that_are_wrong_are_said_before_anything_is_stored(
    sqlite_file: SqliteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stick(tmp_path, payload(1))
    assert main(["import", "--database", sqlite_file.name, str(path), "--receipts", str(tmp_path / "no")]) == 1
    assert capsys.readouterr().err == f"central store: {tmp_path}/no: there is no such directory\n"
    assert not sqlite_file.path.exists()
    assert main(["import", "--database", sqlite_file.name, str(tmp_path / "no")]) == 1
    assert capsys.readouterr().err == f"central store: {tmp_path}/no: there is no such file\n"
    assert not sqlite_file.path.exists()
    assert main(["import", "--database", sqlite_file.name, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"central store: {tmp_path}: cannot be read: Is a directory\n"
    os.mkfifo(tmp_path / "fifo")
    assert main(["import", "--database", sqlite_file.name, str(tmp_path / "fifo")]) == 1
    assert capsys.readouterr().err == f"central store: {tmp_path}/fifo: is no regular file\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x30\x80\x06\x0b\n" * 20, "is encrypted: openssl cms -decrypt -inform DER -inkey STORE.key -in f.jsonl"),
        *(
            (b'{"%b":["0198"]}\n' % name * 20, "holds receipts: those are for the car, edge-agent outbox receipts")
            for name in (b"ids", b"corrections", b"gaps", b"images", b"through_seq")
        ),
    ],
)
def test_a_file_of_another_kind_is_named_as_a_whole(
    sqlite_file: SqliteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(content)
    assert main(["import", "--database", sqlite_file.name, str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"central store: {path}: {said}")


@pytest.mark.parametrize("count", [1, 1001])
def test_what_came_before_a_file_that_is_missing_has_its_receipts(
    sqlite_file: SqliteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    path = stick(tmp_path, *(payload(seq) for seq in range(1, count + 1)))
    assert take(sqlite_file, path, tmp_path / "no", path) == 1
    seen = capsys.readouterr()
    assert seen.out == f"hpd/car-1: {count} record{'s' * (count > 1)} in the store\n"
    assert seen.err == f"central store: {tmp_path}/no: cannot be read: No such file or directory\n"
    assert sum(len(receipt.keys) for receipt in receipts(path, CAR)) == count
    assert sqlite_file.rows("SELECT count(*), max(deliveries) FROM reads") == [(count, 1)]


def test_of_many_damaged_lines_the_first_are_named(
    sqlite_file: SqliteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stick(tmp_path, payload(1), *[b"{}"] * 20)
    assert main(["import", "--database", sqlite_file.name, str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "central store: ... and 10 more such lines"
