import resource
import sys
from pathlib import Path

import pytest

from benchmarks import program, readers
from edge_agent.errors import EdgeAgentError
from tests.benchmarks.scripts import GOOD, LOGGING, script

PICTURES = [Path(f"pictures/{number}.jpg") for number in range(60)]


def test_every_picture_is_read_once_by_each_and_the_first_place_changes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rivals = [
        readers.Reader(
            name, (sys.executable, str(script(tmp_path, LOGGING.format(log=str(log), name=name) + GOOD, name)))
        )
        for name in ("one", "two")
    ]
    measured = readers.measure(rivals, PICTURES)
    for one in measured:
        assert list(one.timings) == [str(path) for path in PICTURES]
        assert len(one.first_read_s) == 3
        assert one.peak_mib > 1
    assert log.read_text().split("\n") == ["one 25", "two 25", "two 25", "one 25", "one 10", "two 10", ""]


def test_a_picture_that_a_reader_cannot_read_is_counted_and_not_timed(tmp_path: Path) -> None:
    body = GOOD + 'print(json.dumps({"image": "bad.jpg", "error": "bad.jpg: damaged"})); sys.exit(1)'
    rival = readers.peer(script(tmp_path, body.replace("sys.argv[1:]", "sys.argv[1:-1]")))
    (measured,) = readers.measure([rival], [Path("good.jpg"), Path("bad.jpg")])
    assert list(measured.pictures) == ["good.jpg", "bad.jpg"]
    assert list(measured.timings) == ["good.jpg"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("raise SystemExit('no weights here')", "the peer failed with exit status 1: no weights here"),
        (GOOD + "import os; os.abort()", "the peer failed with exit status -6: no reason given"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("pass", "the peer printed no line for a.jpg"),
        (GOOD.replace("sys.argv[1:]", "sys.argv[1:2]"), "the peer printed no line for b.jpg"),
        ("print('Loading model...')", "the peer printed 'Loading model...', which is no result (Invalid JSON"),
        ("print('[1, 2]')", "which is no result"),
        (GOOD.replace('"ocr": 10', '"ocr": "fast"'), "(timing_ms.ocr: Input should be a valid number"),
        (GOOD.replace('"ocr": 10', '"ocr": float("nan")'), "(timing_ms.ocr: Input should be a finite number"),
        (GOOD.replace('"ocr": 10', '"ocr": -1'), "(timing_ms.ocr: Input should be greater than or equal to 0"),
        (GOOD.replace('"timing_ms"', '"timing"'), "the peer gave no timing_ms for a.jpg"),
        (
            'import json, sys\nfor p in sys.argv[1:]: print(json.dumps({"image": p, "error": p + ": damaged"}))',
            "the peer could read none of the pictures: a.jpg: damaged",
        ),
    ],
)
def test_a_reader_that_fails_or_prints_garbage_is_one_clear_line(tmp_path: Path, body: str, complaint: str) -> None:
    with pytest.raises(EdgeAgentError) as caught:
        readers.measure([readers.peer(script(tmp_path, body))], [Path("a.jpg"), Path("b.jpg")])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_script_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EdgeAgentError, match="there is no such reader script"):
        readers.peer(tmp_path / "none.py")


def test_a_reader_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = script(tmp_path, "print('one line', flush=True)\nimport signal; signal.pause()")
    with pytest.raises(EdgeAgentError, match="the peer took longer than 1 s and was ended"):
        program.run([sys.executable, str(hanging)], name="the peer", limit_s=1)


def test_a_program_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(EdgeAgentError, match="the peer cannot be started: No such file or directory"):
        program.run(["/nowhere/at/all"], name="the peer", limit_s=10)


def test_much_on_stderr_does_not_block_a_reader(tmp_path: Path) -> None:
    noisy = script(tmp_path, "import sys\nsys.stderr.write('x' * 300000 + '\\nthe last word\\n')\nprint('done')")
    ran = program.run([sys.executable, str(noisy)], name="noisy", limit_s=60)
    assert (ran.lines, ran.exit_status, ran.complaint) == (("done",), 0, "the last word")


def test_peak_memory_is_the_programs(tmp_path: Path) -> None:
    greedy = script(tmp_path, "held = bytearray(400 * 2**20)\nheld[::4096] = b'x' * len(held[::4096])\nprint()")
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # the least that can be said
    peak_mib = program.run([sys.executable, str(greedy)], name="greedy", limit_s=60).peak_mib
    assert 400 < peak_mib < max(600, 1.01 * own_mib)
