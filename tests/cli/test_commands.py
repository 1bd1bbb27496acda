import shutil
import threading
from pathlib import Path

import pytest

from edge_agent import __version__
from edge_agent.cli.main import _thread_ended
from edge_agent.errors import OutboxDamaged
from tests.cli.program import ROOT, edge_agent

KEY = b"k" * 32
COMMANDS = (
    ("run",), ("demo",), ("read",), ("replay",), ("check",), ("models",), ("config", "show"), ("outbox", "status"),
    ("outbox", "export"), ("outbox", "receipts"), ("outbox", "purge"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    done = edge_agent(*command, "--help")
    assert done.returncode == 0
    assert f"Example: edge-agent {' '.join(command)}" in done.stdout


def test_without_a_command_the_help_is_shown() -> None:
    assert edge_agent().stdout == edge_agent("--help").stdout != ""


@pytest.mark.parametrize("group", ["config", "outbox"])
def test_a_group_names_its_commands(group: str) -> None:
    assert f"Example: edge-agent {group}" in edge_agent(group, "--help").stdout


def test_the_version_is_told() -> None:
    assert edge_agent("--version").stdout == f"edge-agent {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("red", "x.jpg"), "No such command 'red'"),
        (("config",), "Missing command"),
        (("read",), "Missing argument"),
        (("read", "--jsonnl", "x.jpg"), "No such option: --jsonnl"),
        (("read", "--threads", "many", "x.jpg"), "valid integer"),
        (("demo", "--seconds", "1"), "--seconds"),
        (("replay", "rtsp://10.0.0.9/front"), "a live camera is configured in cameras/NAME.toml"),
    ],
)
def test_wrong_usage_is_one_line_and_status_two(arguments: tuple[str, ...], said: str) -> None:
    done = edge_agent(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The shipped configuration with a state directory of its own."""
    directory = shutil.copytree(ROOT / "config", tmp_path / "config")
    agent = directory / "agent.toml"
    key = tmp_path / "outbox.key"
    key.write_text(KEY.hex())
    key.chmod(0o600)
    state = f'[state]\ndirectory = "{tmp_path / "state"}"\nkey_file = "{key}"'
    agent.write_text(agent.read_text().replace("[state]", state))
    return directory


def test_the_shipped_configuration_is_sound() -> None:
    done = edge_agent("check", ROOT / "config")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "edge-agent: warning: agent.toml:9: state.key_file: is not set: reads lie on the disk unenc"
    )
    assert "no problem found, 1 warning; cameras: " in done.stdout


def test_check_lists_every_problem_at_once_with_status_78(configuration: Path) -> None:
    (configuration / "cameras" / "a.toml").write_text('kind = "rtsp"\nurl = 5\n')
    (configuration / "cameras" / "b.toml").write_text("kind = \n")
    (configuration / "cameras" / "c.toml").write_text('kind = "files"\npath = "/nope"\n')
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    places = [line.split(": ")[1] for line in done.stderr.splitlines()]
    assert places == ["cameras/a.toml:2", "cameras/b.toml:1", "cameras/c.toml:2"]


def test_the_models_are_listed_with_their_hashes_checked(tmp_path: Path) -> None:
    done = edge_agent("models")
    assert done.returncode == 0
    assert (done.stdout.count("hash right"), done.stdout.count("hash right, runs")) == (3, 2)
    copy = shutil.copytree(ROOT / "models", tmp_path / "models")
    with (copy / "reader.onnx").open("ab") as weights:
        weights.write(b"x")
    done = edge_agent("models", str(copy))
    assert done.returncode == 78
    assert (done.stdout.count("hash right"), done.stdout.count("not usable")) == (2, 1)
    assert len(done.stderr.splitlines()) == 1
    assert "not the file the manifest names" in done.stderr


def test_check_finds_altered_weights_and_a_state_that_is_a_file(configuration: Path, tmp_path: Path) -> None:
    models = shutil.copytree(ROOT / "models", tmp_path / "models")
    with (models / "reader.onnx").open("ab") as weights:
        weights.write(b"x")
    agent = configuration / "agent.toml"
    agent.write_text(agent.read_text().replace("[models]", f'[models]\ndirectory = "{models}"'))
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    assert "not the file the manifest names" in done.stderr
    (tmp_path / "state").touch()
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    assert "state.directory: is not a directory" in done.stderr


def test_check_finds_every_file_that_cannot_be_used(configuration: Path, tmp_path: Path) -> None:
    for name in ("ca.pem", "car.pem", "car.key"):
        (configuration / name).write_text("no certificate")
        (configuration / name).chmod(0o600)
    agent = configuration / "agent.toml"
    tls = 'ca_file = "ca.pem"\ncertificate_file = "car.pem"\nkey_file = "car.key"\n'
    agent.write_text(agent.read_text().replace("[mqtt]", f"[mqtt]\ntls = true\n{tls}"))
    (configuration / "cameras" / "a.toml").write_text('kind = "files"\npath = "/nowhere/drive.mp4"\n')
    (configuration / "login").write_text("no colon")
    (configuration / "login").chmod(0o600)
    camera = 'kind = "rtsp"\nurl = "rtsp://10.0.0.9/front"\ncredentials_file = "../login"\n'
    (configuration / "cameras" / "b.toml").write_text(camera.replace("../login", str(configuration / "login")))
    (tmp_path / "state" / "outbox.db").mkdir(parents=True)
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    for said in (
        "ca.pem: cannot be used as ca_file",
        "outbox.db",
        "/nowhere/drive.mp4: there is no such file",
        "login: should hold one line, user:password",
    ):
        assert sum(said in line for line in done.stderr.splitlines()) == 1, said


def test_a_warning_of_check_comes_once_with_the_programs_name(configuration: Path) -> None:
    agent = configuration / "agent.toml"
    agent.write_text(agent.read_text().replace("[models]", '[models]\nprovider = "tensorrt"'))
    done = edge_agent("check", configuration)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-agent: provider 'tensorrt' is not in the installed ONNX Runtime")


def test_a_camera_file_with_another_ending_is_named(configuration: Path) -> None:
    (configuration / "cameras" / "front.tml").write_text('kind = "sim"\n')
    done = edge_agent("check", configuration)
    assert done.returncode == 0
    assert "warning: cameras/front.tml: not read: its name should end in .toml" in done.stderr
    (configuration / "cameras" / "sim.toml").unlink()
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    assert "front.tml" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "/nowhere"),
        ("read", "--models", "/nowhere", "x.jpg"),
        ("demo", "--state", "/etc/passwd"),
        ("read", "--annotate", "/etc/passwd", "x.jpg"),
    ],
)
def test_a_directory_that_is_none_is_one_line(arguments: tuple[str, ...]) -> None:
    done = edge_agent(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert arguments[-1] in done.stderr or arguments[-2] in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "export", ""),
        ("outbox", "purge", "--yes", "--config", ""),
        ("check", ""),
        ("config", "show", ""),
        ("read", "--annotate", "", "x.jpg"),
        ("demo", "--state="),
    ],
)
def test_an_empty_name_is_not_the_current_directory(arguments: tuple[str, ...]) -> None:
    done = edge_agent(*arguments)
    assert done.returncode == 2
    assert "should be a path, and is empty (see --help)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_password_in_the_brokers_name_is_not_repeated(configuration: Path) -> None:
    agent = configuration / "agent.toml"
    agent.write_text(agent.read_text().replace("[mqtt]", '[mqtt]\nhost = "mqtt://car:s3cret@example.gov"'))
    done = edge_agent("check", configuration)
    assert done.returncode == 78
    assert "no user or password may stand in a host's name" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_directory_that_is_not_there_is_one_line() -> None:
    done = edge_agent("check", "/nowhere")
    assert done.returncode == 78
    assert done.stderr == "edge-agent: /nowhere: there is no such directory\n"


def test_config_show_tells_origins(configuration: Path) -> None:
    done = edge_agent("config", "show", "--origin", configuration)
    assert done.returncode == 0
    assert "# default" in done.stdout
    assert "# agent.toml:" in done.stdout


def test_outbox_status_without_an_outbox_is_one_line(configuration: Path) -> None:
    done = edge_agent("outbox", "status", "--config", configuration)
    assert done.returncode == 1
    assert "there is no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_why_a_thread_ended_is_a_line_where_it_is_a_known_trouble(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (OutboxDamaged("outbox x: is damaged"), ZeroDivisionError("of ours")):
        _thread_ended(threading.ExceptHookArgs((type(error), error, None, None)))
    assert caplog.messages == ["outbox x: is damaged"]
    assert "ZeroDivisionError: of ours" in capsys.readouterr().err
