"""What can be asked of the store's command line."""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from edge_agent.contract.topics import NAME_PATTERN

_COMMANDS = ("run", "gaps", "query", "log", "import", "retain")
_SHORTEST_PURPOSE, _LONGEST_PURPOSE = 10, 1000
_DESCRIPTION = """The reference central store: takes reads from the broker, keeps each once, and says so.

store.py --broker localhost:1883 --database store.db      (see store.py run --help)
store.py gaps --database store.db
store.py query --database store.db --purpose "case 2026-0815, stolen vehicle" --plate 'AB12*'
store.py log --database store.db
store.py import --database store.db /media/stick/export.jsonl --receipts /media/stick
store.py retain --database store.db --keep 21
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error is said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"central store: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; it ends with status 2 and one line where that is wrong."""
    parser = _Parser(
        prog="store.py", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    database = _Parser(add_help=False)
    database.add_argument(
        "--database",
        type=_named,
        required=True,
        metavar="DATABASE",
        help="a file (SQLite), or postgresql://HOST/NAME; run and import make a file that is missing",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _run(
        commands.add_parser("run", parents=[database], help="store what the cars send (where no command is given)")
    )
    commands.add_parser(
        "gaps", parents=[database], help="list what is missing; status 1 where no gap record explains something"
    )
    _query(commands.add_parser("query", parents=[database], help="look for reads, with a purpose, on record"))
    log = commands.add_parser("log", parents=[database], help="list who asked for what, and why, the newest first")
    log.add_argument("--limit", type=_count, default=100, metavar="N", help="100 where it is not given")
    taken = commands.add_parser("import", parents=[database], help="store what cars wrote onto a stick")
    taken.add_argument("files", nargs="+", type=_path, metavar="FILE", help="a read, gap record or picture a line")
    taken.add_argument("--receipts", type=_path, metavar="DIRECTORY", help="write the cars' receipts into it")
    retain = commands.add_parser("retain", parents=[database], help="delete what is older; to be run every day")
    retain.add_argument("--keep", type=_days, required=True, metavar="DAYS", help="such as 21, or 0.5")
    first = arguments[0] if arguments else ""
    if first and not first.startswith("-") and first not in _COMMANDS:
        parser.error(f"no command {first!r}: there are {', '.join(_COMMANDS)}")
    if first.startswith("--") and (named := next((one for one in arguments if one in _COMMANDS), None)):
        parser.error(f"the command comes first: store.py {named} ...")
    options = parser.parse_args(arguments if first in (*_COMMANDS, "-h", "--help") else ["run", *arguments])
    if options.command == "run" and bool(options.certificate_file) != bool(options.key_file):
        parser.error("--certificate-file and --key-file go together")
    if options.command == "query" and options.since and options.until and options.since >= options.until:
        parser.error("--from should be before --to")
    return options


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", default="localhost:1883", metavar="HOST:PORT", help="must speak MQTT 5")
    parser.add_argument("--prefix", default="lpr", help="first part of every topic")
    parser.add_argument("--client-id", type=_named, default="central-store", help="one name a store and worker")
    parser.add_argument(
        "--group", type=_name, metavar="NAME", help="share the messages with the other workers of this group"
    )
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path, metavar="FILE")
    parser.add_argument("--tls", action="store_true", help="encrypt, and trust the system's authorities")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="encrypt, and trust this authority alone")
    parser.add_argument("--certificate-file", type=Path, metavar="FILE", help="the store's own certificate (PEM)")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="its private key (PEM)")


def _query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purpose", type=_purpose, required=True, metavar="TEXT", help="why, for the access log")
    parser.add_argument("--user", type=_printable, metavar="NAME", help="who asks; the login name if not given")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--plate", type=_plate, help="AB12CD3, or 'AB12*' for all that begin so")
    what.add_argument("--vehicle", type=_vehicle, metavar="AGENCY/VEHICLE", help="all reads of one car")
    parser.add_argument(
        "--from", dest="since", type=_time, metavar="TIME", help="UTC: 2026-07-04 or 2026-07-04T12:30"
    )
    parser.add_argument("--to", dest="until", type=_time, metavar="TIME", help="UTC; before this time")
    parser.add_argument("--limit", type=_count, default=100, metavar="N", help="the newest so many; 100")
    parser.add_argument(
        "--images",
        type=_path,
        metavar="DIRECTORY",
        help="write the pictures, READ_ID.jpg, into this directory that is there",
    )
    parser.add_argument("--jsonl", action="store_true", help="print the records, one a line")


def _named(text: str) -> str:
    if not text:  # a shell variable that is not set
        raise argparse.ArgumentTypeError("should be a name, and is empty")
    return text


def _path(text: str) -> Path:
    return Path(_named(text))


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("should be text that can be printed")
    return text


def _purpose(text: str) -> str:
    if not _SHORTEST_PURPOSE <= len(text.strip()) <= _LONGEST_PURPOSE:
        raise argparse.ArgumentTypeError(f"should say why, in {_SHORTEST_PURPOSE} to {_LONGEST_PURPOSE} characters")
    return _printable(text)


def _plate(text: str) -> str:
    plate = text.upper().replace(" ", "").replace("-", "")
    if re.fullmatch(r"[0-9A-Z]{1,12}\*?", plate) is None:
        raise argparse.ArgumentTypeError("should be up to 12 letters and digits, and * for any end")
    return plate


def _name(text: str) -> str:
    if re.fullmatch(NAME_PATTERN, text) is None:
        raise argparse.ArgumentTypeError("should be up to 32 letters, digits, - and _")
    return text


def _vehicle(text: str) -> tuple[str, str]:
    agency, slash, vehicle = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError("should be AGENCY/VEHICLE, as hartford-pd/car-12")
    return _name(agency), _name(vehicle)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("should be a time such as 2026-07-04 or 2026-07-04T12:30") from None


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("should be a number from 1 on")
    return int(text)


def _days(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", text) or float(text) == 0:
        raise argparse.ArgumentTypeError("should be a number of days above 0, such as 21 or 0.5")
    return float(text)
