"""The command line: one clear line for what cannot work."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import resources
from edge_agent.domain import GapReason, Missing
from examples.central_store.commands import main
from examples.central_store.sqlite import SqliteDatabase
from tests.central_store.messages import gap, keep, payload
from tests.central_store.places import Place

QUERY = ["query", "--database", "x", "--purpose", "a good purpose"]
FOLDER = resources.path("examples/central_store")


def run(*arguments: str, directory: Path, program: Path = FOLDER / "store.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=directory)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gaps", "--database", "missing.db"], "database missing.db: there is no such file"),
        (["retain", "--database", "missing.db", "--keep", "21"], "database missing.db: there is no such file"),
        (["--database", "x.db", "--broker", "nowhere"], "--broker nowhere: should be HOST:PORT"),
        (["--database", "x.db", "--broker", "b:99999"], "--broker b:99999: should be HOST:PORT"),
        (
            ["--database", "x.db", "--username", "u", "--password-file", "missing"],
            "No such file or directory: 'missing'",
        ),
        (["--database", "x.db", "--ca-file", "nope"], "ca_file (No such file or directory)"),
        (["--database", "/proc/store.db"], "database /proc/store.db: No such file or directory"),
        (["gaps", "--database", "postgresql://nobody:secret@127.0.0.1:1/lpr"],
         "database postgresql://127.0.0.1:1/lpr: connection failed: connection to server at"),
        (["run", "--database", "postgresql://127.0.0.1/lpr?sslmode=secure"], 'invalid sslmode value: "secure"'),
        (["run", "--database", "postgresql://u:secret@[::1/lpr"], "database postgresql://...: "),
        (["gaps", "--database", "mysql://u:secret@x/y"], "database mysql://...: mysql is unknown: should be"),
        (["run", "--database", "mysql://x/y"], "database mysql://...: mysql is unknown: should be a file, or "),
        (["gaps", "--database", "."], "database .: is no file"),
        (["run", "--database", "x.db", "--password-file", "latin.txt"], "latin.txt: is not text in UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, arguments: list[str], expected: str) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    done = run(*arguments, directory=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("central store: ")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--database"),
        (["foo"], "no command 'foo': there are run, gaps, query, log, import, retain"),
        (["--database", "x.db", "--tls", "--certificate-file", "a.pem"], "--key-file go together"),
        (["--database", "x.db", "--group", "a/b"], "--group: should be up to 32 letters, digits, - and _"),
        (QUERY, "--plate --vehicle"),
        ([*QUERY, "--plate", "A_"], "--plate: should be up to 12"),
        ([*QUERY, "--vehicle", "car"], "--vehicle: should be"),
        (["query", "--database", "x", "--purpose", "a purpose\x1b[1m", "--plate", "A"], "should be text"),
        ([*QUERY, "--plate", "A", "--from", "0001-01-01T00:00+09:00"],
         "--from: should be a time"),
        ([*QUERY, "--plate", "A", "--from", "2026-07-05", "--to", "2026-07-04"], "--from should be before --to"),
        ([*QUERY, "--plate", "A", "--from", "2026-07-04T12:00+02:00", "--to", "2026-07-04T10:00"], "before --to"),
        ([*QUERY, "--plate", "A", "--images", ""], "--images: should be a name, and is empty"),
        (["import", "--database", "x", "f", "--receipts", ""], "--receipts: should be a name, and is empty"),
        (["import", "--database", "x", ""], "argument FILE: should be a name, and is empty"),
        (["gaps", "--database", ""], "--database: should be a name, and is empty"),
        (["--database", "x", "gaps"], "the command comes first: store.py gaps ..."),
        (["log", "--database", "x", "--limit", "0"], "--limit: should be a number from 1 on"),
        (["retain", "--database", "x"], "--keep"),
        (["retain", "--database", "x", "--keep", "0"], "--keep: should be a number of days"),
        (["retain", "--database", "x", "--keep", "-1"], "--keep"),
    ],
)  # fmt: skip
def test_wrong_usage_has_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("central store: ")
    assert expected in line


def test_help_names_every_command(tmp_path: Path) -> None:
    done = run("--help", directory=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "gaps", "query", "log", "import", "retain"))


def test_gaps_are_listed_with_exit_status_1_where_one_is_unexplained(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(place.open()) as database:
        keep(database, payload(1))
    assert main(["gaps", "--database", place.name]) == 0
    assert capsys.readouterr().out == "no gaps\n"
    with closing(place.open()) as database:
        keep(database, payload(5), gap((3, 9)), gap(reason=GapReason.NOT_WRITTEN, reads=2))
    assert main(["gaps", "--database", place.name]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "hpd/car-1: 2 missing (1 read): no gap record explains it",
        "hpd/car-1: 3 to 4 missing (2 reads): quota",
        "hpd/car-1: 6 to 9 missing (4 reads): quota",
        "hpd/car-1: 2 reads without a place in the count: not_written",
    ]
    with closing(place.open()) as database:
        keep(database, payload(2))
    assert main(["gaps", "--database", place.name]) == 0


def test_pictures_that_will_not_come_change_no_exit_status(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(place.open()) as database:
        keep(database, payload(1), gap((1, 12), what=Missing.IMAGES))
    assert main(["gaps", "--database", place.name]) == 0
    assert capsys.readouterr().out == "hpd/car-1: pictures of 12 reads will not come: quota\n"


def test_the_folder_runs_wherever_it_is_copied_to(tmp_path: Path) -> None:
    copied = tmp_path / "our_store"
    copied.mkdir()
    for path in FOLDER.iterdir():
        if path.suffix in {".py", ".sql"}:
            (copied / path.name).write_bytes(path.read_bytes())
    with closing(SqliteDatabase(tmp_path / "store.db")) as database:
        keep(database, payload(2))
    done = run("gaps", "--database", "store.db", directory=tmp_path, program=copied / "store.py")
    assert done.stdout == "hpd/car-1: 1 missing (1 read): no gap record explains it\n"


def test_without_psycopg_sqlite_works_and_postgresql_says_what_is_missing(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "store.db").close()
    (tmp_path / "psycopg.py").write_text("raise ImportError('not installed')\n")
    program = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(FOLDER.parent)!r}]\n"
    program += "from central_store.commands import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "program.py").write_text(program)
    done = run("gaps", "--database", "store.db", directory=tmp_path, program=tmp_path / "program.py")
    assert (done.returncode, done.stdout) == (0, "no gaps\n")
    done = run("gaps", "--database", "postgresql:///lpr", directory=tmp_path, program=tmp_path / "program.py")
    assert done.returncode == 1
    assert done.stderr == "central store: PostgreSQL needs psycopg: pip install 'psycopg[binary]'\n"
