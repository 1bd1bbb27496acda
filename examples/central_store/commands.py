"""The store's command line."""

import argparse
import getpass
import json
import logging
import os
import random
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

from edge_agent import host
from edge_agent.contract.explain import printable
from edge_agent.contract.record import time_text
from edge_agent.domain import ImageKey, counted
from edge_agent.errors import BrokerError, EdgeAgentError
from edge_agent.mqtt import Broker, MqttLink, Tls, tls_context
from edge_agent.publisher.schedule import Backoff

from .arguments import parse
from .database import Answer, Database, DatabaseAway, Key, Question, StoreError
from .files import take_files, write_receipts
from .gaps import find_gaps, without_images, without_place
from .images import image_named, write_images
from .service import LONGEST_PAUSE_S, Store
from .sqlite import SqliteDatabase

_logger = logging.getLogger("central_store")
_MOST_LINES = 10
_HIGHEST_PORT = 65535
_SESSION_S = 7 * 24 * 3600  # how long the broker keeps reads for a store that is away


def main(arguments: Sequence[str]) -> int:
    """Run the command line and give its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    options = parse(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "run": _run,
        "gaps": _gaps,
        "query": _query,
        "log": _log,
        "import": _import,
        "retain": _retain,
    }
    try:
        return commands[options.command](options)
    except BrokenPipeError:  # head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (EdgeAgentError, OSError) as error:
        print(f"central store: {error}", file=sys.stderr)
        return 1


def _open(name: str, *, make: bool = False) -> Database:
    if re.match("postgres(ql)?://", name):
        try:
            from .postgres import PostgresDatabase  # noqa: PLC0415 - an extra that SQLite does not need
        except ImportError:
            raise StoreError("PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from None
        return PostgresDatabase(name)
    if scheme := re.match("([A-Za-z][A-Za-z0-9+.-]*)://", name):
        raise StoreError(
            f"database {scheme[1]}://...: {scheme[1]} is unknown: should be a file, or postgresql://HOST/NAME"
        )
    if not make and not Path(name).is_file():
        raise StoreError(f"database {name}: {'is no file' if Path(name).exists() else 'there is no such file'}")
    return SqliteDatabase(Path(name))


def _check_directory(path: Path | None) -> None:
    if path and not path.is_dir():
        raise StoreError(f"{path}: there is no such directory")


def _check_files(paths: Sequence[Path]) -> None:
    """Look for any before a database is made; what came before a missing one is stored."""
    if not any(one.exists() for one in paths):
        raise StoreError(f"{paths[0]}: there is no such file")


@contextmanager
def _writing(directory: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what} could not be written to {directory}: {error.strerror or error}") from None


def _broker(options: argparse.Namespace) -> Broker:
    host_name, _, port = options.broker.rpartition(":")
    if not host_name or not port.isdecimal() or not 1 <= int(port) <= _HIGHEST_PORT:
        raise BrokerError(f"--broker {options.broker}: should be HOST:PORT")
    tls = Tls(options.ca_file, options.certificate_file, options.key_file)
    password = options.password_file and _first_line(options.password_file)
    wants_tls = options.tls or tls != Tls()
    if wants_tls:
        tls_context(tls)  # a file that cannot be used would be tried for ever, as a broker that is away is
    address = host_name.removeprefix("[").removesuffix("]")  # of IPv6
    return Broker(address, int(port), tls if wants_tls else None, options.username, password)


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0]
    except UnicodeDecodeError:
        raise BrokerError(f"{file}: is not text in UTF-8") from None


def _run(options: argparse.Namespace) -> int:
    # A worker that ends leaves its group at once: the broker would go on giving a kept session its share.
    session_s = 0 if options.group else _SESSION_S
    broker = _broker(options)
    for number in (signal.SIGINT, signal.SIGTERM):  # nothing is to be finished, and a connection can take long
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    with closing(_open_patiently(options.database)) as database:
        link = MqttLink(broker=broker, client_id=options.client_id, session_expiry_s=session_s)
        Store(database=database, link=link, prefix=options.prefix, group=options.group).run(host.stop_on_signals())
    return 0


def _open_patiently(name: str) -> Database:
    """Wait for a database that is away, to write into it: after a power cut the store may be up before it."""
    backoff = Backoff(uniform=random.uniform, longest_s=LONGEST_PAUSE_S)
    said = ""
    while True:
        try:
            with ExitStack() as opened:
                database = opened.enter_context(closing(_open(name, make=True)))
                database.check_rights()
                opened.pop_all()
                return database
        except DatabaseAway as error:
            if str(error) != said:
                _logger.warning("%s; trying again", error)
            said = str(error)
        time.sleep(backoff.next_s())


def _gaps(options: argparse.Namespace) -> int:
    with closing(_open(options.database)) as database:
        records = database.gap_records()
        gaps = find_gaps(database.held(), records)
    lines = [*map(str, gaps), *without_place(records), *without_images(records)]
    print("\n".join(lines) or "no gaps")
    return 1 if any(not gap.reasons for gap in gaps) else 0


def _query(options: argparse.Namespace) -> int:
    _check_directory(options.images)
    login = _login()
    question = Question(
        who=options.user or login,
        login=login,
        purpose=options.purpose,
        plate=options.plate,
        vehicle=options.vehicle,
        since=options.since,
        until=options.until,
        limit=options.limit,
    )
    with closing(_open(options.database)) as database:
        answers = database.ask(question)
        wanted = [image_named(answer.record) for answer in answers] if options.images else []
        images = _images(database, question, wanted)
    if images:
        with _writing(options.images, "the pictures"):
            write_images(options.images, images)
    for answer in answers:
        print(_json_line(answer.record) if options.jsonl else _row(answer))
    if not answers:
        print("central store: no read matches", file=sys.stderr)
    if lacking := sum(key not in images for key in wanted):
        print(f"central store: {lacking} of {len(answers)} answers have no picture here", file=sys.stderr)
    if len(answers) == options.limit:
        print(f"central store: these are the newest {options.limit}; there may be more", file=sys.stderr)
    return 0


def _images(database: Database, question: Question, wanted: Iterable[ImageKey | None]) -> Mapping[ImageKey, bytes]:
    named = {key for key in wanted if key is not None}
    return database.ask_images(question, named) if named else {}


def _row(answer: Answer) -> str:
    position = json.loads(answer.record).get("position")
    where = f"{position['lat_deg']:.6f},{position['lon_deg']:.6f}" if position else "-"
    vehicle = f"{answer.agency}/{answer.vehicle}"
    return (
        f"{time_text(answer.captured_at)}  {answer.plate:12}  {answer.confidence:5.3f}  {vehicle}  {answer.camera}"
        f"  {where}"
    )


def _json_line(record: str) -> str:
    return json.dumps(json.loads(record), separators=(",", ":")) if "\n" in record else record


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _log(options: argparse.Namespace) -> int:
    with closing(_open(options.database)) as database:
        accesses = database.accesses(options.limit)
    for one in accesses:
        who = one.who if one.who == one.login else f"{one.who} (as {one.login})"
        line = f"{time_text(one.asked_at)}  {who}: {one.question}; {one.rows} given; for: {one.purpose}"
        print(printable(line))  # by SQL anything can be a purpose
    return 0


def _import(options: argparse.Namespace) -> int:
    _check_directory(options.receipts)
    _check_files(options.files)
    kept: dict[tuple[str, str], dict[Key, None]] = defaultdict(dict)
    refused = 0
    failed = None
    try:
        with closing(_open(options.database, make=True)) as database:
            for batch in take_files(options.files, database):
                for one in batch.records.values():
                    kept[one.record.agency, one.record.vehicle][one.key] = None
                for bad in batch.rejected[: max(0, _MOST_LINES - refused)]:
                    print(f"central store: {bad.source}: {bad.reason}", file=sys.stderr)
                refused += len(batch.rejected)
    except StoreError as error:  # what was committed before has its receipts all the same
        failed = error
    if refused > _MOST_LINES:
        print(f"central store: ... and {counted(refused - _MOST_LINES, 'more such line')}", file=sys.stderr)
    if failed:
        print(f"central store: {failed}", file=sys.stderr)
    for (agency, vehicle), keys in sorted(kept.items()):
        print(f"{agency}/{vehicle}: {counted(len(keys), 'record')} in the store")
    if not (kept or refused or failed):  # as of a stick that was pulled out
        print(f"central store: no record in {', '.join(map(str, options.files))}", file=sys.stderr)
        return 1
    if options.receipts:
        with _writing(options.receipts, "the records are in the store, but their receipts"):
            write_receipts(options.receipts, kept)
    return 1 if refused or failed else 0


def _retain(options: argparse.Namespace) -> int:
    with closing(_open(options.database)) as database:
        purge = database.purge(before=host.now().utc - timedelta(days=options.keep))
    reads, images = counted(purge.reads, "read"), counted(purge.images, "picture")
    print(f"{reads}, {images} and {counted(purge.rejected, 'rejected message')} deleted")
    return 0
