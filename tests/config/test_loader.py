import os
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import resources
from edge_agent.config.loader import inspect, load
from edge_agent.config.settings import (
    CAMERA_KINDS,
    AgentSettings,
    FilesCamera,
    RtspCamera,
    SimCamera,
    V4l2Camera,
    VehicleSettings,
)

VEHICLE = '[vehicle]\nagency = "example"\nid = "car-1"\n'
UNENCRYPTED = (
    "agent.toml: state.key_file: is not set: reads lie on the disk unencrypted, for whoever takes it out of the car"
)
NAME = "should be a name of up to 32 letters, digits, - and _ (no space, no /)"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the files of a configuration directory; agent.toml and one camera are there unless given."""

    def write_files(**files: str) -> Path:
        texts = {
            "agent": VEHICLE + f'[state]\ndirectory = "{tmp_path}/state"\n',
            "cameras/sim": 'kind = "sim"',
        } | files
        for name, text in texts.items():
            path = tmp_path / f"{name}.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_files


Write = Callable[..., Path]


def check(directory: Path) -> list[str]:
    return list(inspect(directory).problems)


def test_defaults_agent_camera_and_tuner_lie_over_each_other(write: Write) -> None:
    directory = write(
        **{
            "agent": VEHICLE + '[state]\ndirectory = "state"\n[tracking]\nmin_evidence = 4\nemit_after_s = 2\n',
            "cameras/front": 'kind = "sim"\n[tracking]\nemit_after_s = 2.5\n',
            "state/tuned/front": "[tracking]\nemit_at_latest_s = 7.0\n",
        }
    )
    configuration = load(directory)
    front, sim = configuration.cameras
    assert (front.name, sim.name) == ("front", "sim")
    ours = front.tracking
    assert (ours.min_evidence, ours.emit_after_s, ours.emit_at_latest_s) == (4, 2.5, 7.0)
    assert (sim.tracking.min_evidence, sim.tracking.emit_after_s, sim.tracking.emit_at_latest_s) == (4, 2.0, 3.0)
    assert configuration.agent.state.directory == directory / "state"
    assert configuration.warnings == (UNENCRYPTED.replace("agent.toml", "agent.toml:4"),)
    layers = configuration.camera_layers["front"]
    assert layers.origin(("tracking", "min_evidence")) == ("agent.toml", 7)
    assert layers.origin(("tracking", "emit_after_s")) == ("cameras/front.toml", 3)
    assert layers.origin(("tracking", "emit_at_latest_s")) == (f"{directory}/state/tuned/front.toml", 2)
    assert layers.origin(("reading", "unsure_below")) is None


def test_each_kind_of_camera_is_its_own_class(write: Write) -> None:
    directory = write(
        **{
            "cameras/a": 'kind = "files"\npath = "drive.mp4"\npace = "fast"',
            "cameras/b": 'kind = "rtsp"\nurl = "rtsp://10.0.0.2/s1"',
            "cameras/c": 'kind = "v4l2"\ndevice = "/dev/video0"\nexposure = 10',
        }
    )
    files, rtsp, v4l2, sim = load(directory).cameras
    assert isinstance(files, FilesCamera)
    assert files.path == directory / "drive.mp4"
    assert isinstance(rtsp, RtspCamera)
    assert isinstance(v4l2, V4l2Camera)
    assert v4l2.exposure == 10
    assert isinstance(sim, SimCamera)


def test_every_problem_of_a_directory_comes_at_once_with_file_line_and_hint(write: Write) -> None:
    directory = write(
        **{
            "agent": '[vehicle]\nagency = "a/b"\n\n[mqtt]\nhots = "b"\nport = 88883\nkeepalive_s = "20"\n'
            'confirm = "stor"\ntls = 1\n\n[tracking]\nmin_evidence = true\nemit_after_s = 9\n',
            "cameras/a": 'kind = "rtsp"\nname = "front"\nurl = "rtsp://10.0.0.2/s1"\nread_timeout = 3\n',
            "cameras/b": 'kind = "rstp"\nname = "front"\n',
            "cameras/c": 'kind = "v4l2"\nexposure = "off"\ngain = [1]\n[tracking]\nmin_evidenc = 3\n',
            "cameras/d": 'kind = "sim"\nseed = \n',
            "cameras/e f": 'kind = "sim"\nreading = 3\n',
        }
    )
    assert check(directory) == [
        f"agent.toml:1: vehicle.id: is missing. {VehicleSettings.model_fields['id'].description}",
        f"agent.toml:2: vehicle.agency: {NAME}, got 'a/b'",
        'agent.toml:5: mqtt.hots: unknown key. Did you mean "host"?',
        "agent.toml:6: mqtt.port: should be at most 65535, got 88883",
        "agent.toml:7: mqtt.keepalive_s: should be a whole number, got '20'",
        "agent.toml:8: mqtt.confirm: should be 'store' or 'broker', got 'stor'",
        "agent.toml:9: mqtt.tls: should be true or false, got 1",
        "agent.toml:12: tracking.min_evidence: should be a number, got true",
        "agent.toml:13: tracking.emit_at_latest_s: should be at least emit_after_s (9.0), got 3.0",
        'cameras/a.toml:4: read_timeout: unknown key. Did you mean "read_timeout_s"?',
        "cameras/b.toml:2: name: 'front' is already the camera of cameras/a.toml:2",
        "cameras/b.toml:1: kind: there is no such kind of camera, got 'rstp'. Did you mean \"rtsp\"?",
        f"cameras/c.toml: device: is missing. {V4l2Camera.model_fields['device'].description}",
        "cameras/c.toml:2: exposure: should be \"auto\" or a whole number of 0.1 ms from 1 to 100000, got 'off'",
        "cameras/c.toml:3: gain: should be a whole number, got an array",
        'cameras/c.toml:5: tracking.min_evidenc: unknown key. Did you mean "min_evidence"?',
        "cameras/d.toml:2: is not TOML: Invalid value, column 8",
        f"cameras/e f.toml: name: {NAME}, got 'e f'",
        "cameras/e f.toml:2: reading: should be a table, got 3",
    ]


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    assert check(tmp_path / "none") == [f"{tmp_path}/none: there is no such directory"]


def test_more_cameras_than_a_health_record_can_name_are_too_many(write: Callable[..., Path]) -> None:
    cameras = {f"cameras/c{number}": 'kind = "sim"' for number in range(16)}
    assert check(write(**cameras)) == ["cameras: 17 cameras are too many: at most 16"]


def test_an_empty_directory_says_what_is_missing_and_where_to_get_it(tmp_path: Path) -> None:
    assert check(tmp_path) == [
        "agent.toml: there is no such file",
        "cameras: there is no camera: copy a file from cameras/examples to cameras/*.toml",
    ]


def test_a_camera_file_with_a_name_in_capitals_is_not_passed_over(write: Write) -> None:
    directory = write()
    (directory / "cameras/REAR.TOML").write_text('kind = "sim"')
    assert check(directory) == ["cameras/REAR.TOML: not read: its name should end in .toml, in small letters"]


def test_two_cameras_may_not_differ_in_capitals_alone(write: Write) -> None:
    problems = check(write(**{"cameras/a": 'kind = "sim"', "cameras/b": 'kind = "sim"\nname = "A"'}))
    assert problems == ["cameras/b.toml:2: name: 'A' is already the camera of cameras/a.toml"]


def test_a_file_without_the_vehicle_says_so(write: Write) -> None:
    assert check(write(agent="")) == ["agent.toml: vehicle: is missing. Who is speaking: needs agency, id."]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'[vehicle]\nagency = "\xff"', "agent.toml:2: is not UTF-8 text"),
        (b"a = [\n1,\n", "agent.toml:2: is not TOML: Invalid value"),
        (b"a = 1\na = 2\n", "agent.toml:2: key a appears twice"),
        (b"[a]\nb = 1 # one\n\n\t[ a ] # again\n", "agent.toml:4: section [ a ] appears twice"),
        (b"a = 1\r\n[a]\r\n", "agent.toml:2: is not TOML: Cannot overwrite a value, column 3"),
        (b"a = " + b"[" * 100_000, "agent.toml: tables or arrays are nested too deeply"),
        (b"#" * (1 << 20) + b"#", "agent.toml: is larger than 1 MiB, so it is no settings file"),
    ],
    ids=["encoding", "end of file", "key twice", "section twice", "key and section", "deep", "large"],
)
def test_a_file_that_is_no_toml_is_one_line(write: Write, content: bytes, problem: str) -> None:
    directory = write()
    (directory / "agent.toml").write_bytes(content)
    assert check(directory) == [problem]


def test_the_mark_that_some_editors_put_first_does_no_harm(write: Write) -> None:
    directory = write()
    agent = directory / "agent.toml"
    agent.write_bytes(b"\xef\xbb\xbf" + agent.read_bytes())
    assert check(directory) == []


@pytest.mark.parametrize("host", ["localhost:8883", "mqtt://broker", "broker/", "bro ker", "[::1]", "1:2", ""])
def test_a_broker_is_named_without_port_and_scheme(write: Write, host: str) -> None:
    wrong = "should be a host name or an address: no mqtt://, and the port has its own key"
    problems = check(write(agent=VEHICLE + f'[mqtt]\nhost = "{host}"\n'))
    assert problems == [f"agent.toml:5: mqtt.host: {wrong}, got {host!r}"]


@pytest.mark.parametrize("host", ["localhost", "10.0.0.1", "my-broker.example.gov", "::1", "2001:db8::8883"])
def test_a_broker_has_a_name_or_an_address_of_either_kind(write: Write, host: str) -> None:
    assert load(write(agent=VEHICLE + f'[mqtt]\nhost = "{host}"\n')).agent.mqtt.host == host


def test_numbers_too_long_to_print_are_problems_too(write: Write) -> None:
    problems = check(write(agent=VEHICLE + f"[mqtt]\nport = 0x{'f' * 5000}\n"))
    assert problems == ["agent.toml:5: mqtt.port: should be at most 65535, got a number beyond all bounds"]


def test_a_problem_is_one_line_whatever_the_key(write: Write) -> None:
    keys = f'"a\\nb" = 1\n"{{x}}" = 1\n{"k" * 500} = 1\nzzz = 0x{"f" * 5000}\n'
    problems = check(write(**{"agent": VEHICLE + keys, "cameras/sim": f"kind = 0x{'f' * 5000}"}))
    assert [line.partition(". Known")[0] for line in problems] == [
        "agent.toml:4: vehicle.'a\\nb': unknown key",
        "agent.toml:5: vehicle.'{x}': unknown key",
        f"agent.toml:6: vehicle.'{'k' * 75}...': unknown key",
        "agent.toml:7: vehicle.zzz: unknown key",
        "cameras/sim.toml:1: kind: should be text in quotes, got a number beyond all bounds",
    ]
    assert all(len(line.splitlines()) == 1 for line in problems)


def test_a_directory_in_place_of_a_file_and_hidden_files_are_no_cameras(write: Write) -> None:
    directory = write(**{"cameras/.front": "nonsense"})
    (directory / "cameras/rear.toml").mkdir()
    assert check(directory) == ["cameras/rear.toml: is a directory"]


def test_a_file_that_cannot_be_read_gives_the_true_reason(write: Write) -> None:
    agent = write() / "agent.toml"
    agent.unlink()
    agent.symlink_to("agent.toml")
    assert check(agent.parent) == ["agent.toml: cannot be read: Too many levels of symbolic links"]
    agent.unlink()
    os.mkfifo(agent)
    assert check(agent.parent) == ["agent.toml: is not a file"]


class TestTunedFile:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[tracking\n", "{file}:1: is not TOML: Expected ']' at the end of a table declaration, column 10"),
            ("[tracking]\nmin_evidence = 99\n", "{file}:2: tracking.min_evidence: should be at most 50.0, got 99"),
            ("colour = 3\n", "{file}:1: colour: unknown key. Known here: "),
            ('name = "other"\n', "{file}:1: name: cannot be tuned"),
        ],
    )
    def test_a_broken_one_is_ignored_and_reported(self, write: Write, text: str, problem: str) -> None:
        directory = write(**{"state/tuned/sim": text})
        configuration = load(directory)
        assert configuration.cameras == load(write(**{"state/tuned/sim": ""})).cameras
        _, warning = configuration.warnings
        assert warning.startswith(problem.format(file=directory / "state/tuned/sim.toml"))
        assert warning.endswith("ignored")


class TestFiles:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text("user:hunter2\n")
        path.chmod(0o640)
        return path

    def rtsp(self, write: Write, lines: str) -> list[str]:
        return check(write(**{"cameras/sim": f'kind = "rtsp"\n{lines}\n'}))

    def test_a_credentials_file_is_found_from_the_configuration_directory(self, write: Write, secret: Path) -> None:
        assert self.rtsp(write, 'url = "rtsp://h/1"\ncredentials_file = "secret"') == []

    def test_one_that_every_user_can_open_is_refused(self, write: Write, secret: Path) -> None:
        secret.chmod(0o644)
        assert self.rtsp(write, 'url = "rtsp://h/1"\ncredentials_file = "secret"') == [
            "cameras/sim.toml:3: credentials_file: every user here can open the file: chmod o-rwx mends it"
        ]

    @pytest.mark.parametrize("value", ['"hunter2"', '"/hunter2/x"', "7531", '"a\\u0000hunter2"', f'"{"h" * 5000}"'])
    def test_a_secret_written_in_place_of_its_path_is_not_repeated(self, write: Write, value: str) -> None:
        (problem,) = self.rtsp(write, f'url = "rtsp://h/1"\ncredentials_file = {value}')
        assert problem.startswith("cameras/sim.toml:3: credentials_file: ")
        assert not any(word in problem for word in ("hunter2", "7531", "hhhh"))

    @pytest.mark.parametrize("url", ["rtsp://u:hunter2@h/1", "http://u:hunter2@h", "rtsp://h/?pwd=hunter2&x=1"])
    def test_a_password_in_the_address_is_sent_to_its_place_and_not_repeated(self, write: Write, url: str) -> None:
        (problem,) = self.rtsp(write, f'url = "{url}"')
        assert problem.startswith("cameras/sim.toml:2: url: no user or password may stand in the address")
        assert "credentials_file" in problem
        assert "hunter2" not in problem

    @pytest.mark.parametrize(
        "url", ["http://h/1", "rtsp://", "rtsp://h:99999/1", "rtsp://[h/1", "h/1", "rtsp://h /1"]
    )
    def test_an_address_that_is_none_gives_an_example(self, write: Write, url: str) -> None:
        (problem,) = self.rtsp(write, f'url = "{url}"')
        assert problem == "cameras/sim.toml:2: url: should be an address such as rtsp://192.168.1.64:554/stream1"

    def test_certificates_must_be_there_and_go_with_tls_and_key(self, write: Write, secret: Path) -> None:
        mqtt = '[mqtt]\nca_file = "none.pem"\ncertificate_file = "secret"\nusername = "u"\n'
        directory = write(agent=VEHICLE + mqtt)
        assert check(directory) == [
            "agent.toml:5: mqtt.ca_file: there is no such file, got 'none.pem'",
            "agent.toml:6: mqtt.key_file: certificate_file is set but key_file is not: they go together",
            "agent.toml:7: mqtt.password_file: username is set but password_file is not: they go together",
        ]
        directory = write(agent=VEHICLE + '[mqtt]\ntls = false\nca_file = "secret"\nkey_file = "secret"')
        assert check(directory) == [
            "agent.toml:6: mqtt.ca_file: has no use while tls = false",
            "agent.toml:7: mqtt.key_file: key_file is set but certificate_file is not: they go together",
        ]

    def test_a_credential_of_the_service_is_not_missed_while_the_service_rests(self, write: Write) -> None:
        path = "/run/credentials/edge-agent-that-does-not-run.service/front"
        assert self.rtsp(write, f'url = "rtsp://h/1"\ncredentials_file = "{path}"') == []

    def test_a_path_is_neither_empty_nor_from_home_nor_a_directory(self, write: Write) -> None:
        mqtt = (
            '[mqtt]\nca_file = ""\ncertificate_file = "~/car.pem"\nkey_file = "."\n[models]\ndirectory = "none"\n'
        )
        directory = write(agent=VEHICLE + mqtt)
        assert check(directory) == [
            "agent.toml:5: mqtt.ca_file: should be a path, got ''",
            "agent.toml:6: mqtt.certificate_file: ~ is not expanded: write the whole path",
            "agent.toml:7: mqtt.key_file: is not a file",
            "agent.toml:9: models.directory: there is no such directory, got 'none'",
        ]


def test_what_is_allowed_but_risky_is_a_warning(write: Write) -> None:
    mqtt = '[mqtt]\nhost = "broker.example"\ntls = false\nconfirm = "broker"\n[logging]\nlevel = "DEBUG"\n'
    assert load(write(agent=VEHICLE + mqtt)).warnings == (
        UNENCRYPTED,
        "agent.toml:7: mqtt.confirm: a read leaves the disk once the broker has it: what the broker drops is lost",
        "agent.toml:6: mqtt.tls: reads travel unencrypted: everyone on the way can read them",
        "agent.toml:9: logging.level: the plates read are written to the log",
    )


def test_the_shipped_directory_and_every_example_are_sound(tmp_path: Path) -> None:
    shipped = resources.path("config")
    assert check(shipped) == []
    examples = sorted(shipped.glob("cameras/examples/*.toml"))
    directory = tmp_path / "config"
    shutil.copytree(shipped, directory)
    for example in examples:
        shutil.copy(example, directory / "cameras")
    kinds = {camera.kind for camera in load(directory).cameras}
    assert kinds == {"files", "rtsp", "v4l2", "sim"}


def test_what_is_commented_out_in_the_shipped_files_is_what_holds_without_it(tmp_path: Path) -> None:
    """Taking away every # changes nothing: the comments show the defaults, but for what has none."""
    shipped = resources.path("config")
    without_default = {"ca_file", "certificate_file", "key_file", "username", "password_file", "credentials_file"}
    without_default |= {"detection_confidence", "gain", "gpsd_host", "name"}
    for path in [shipped / "agent.toml", *shipped.glob("cameras/**/*.toml")]:
        if "rtsp" in path.name:
            continue  # its overrides differ from the defaults to show how
        text = path.read_text()
        model = AgentSettings if path.name == "agent.toml" else CAMERA_KINDS[tomllib.loads(text)["kind"]]
        commented = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
        tables = commented.values() if model is AgentSettings else [commented]
        for table in tables:
            for key in without_default & table.keys():
                del table[key]
        commented.get("models", {}).pop("directory", None)
        plain = tomllib.loads(text)
        extra = {} if model is AgentSettings else {"name": "x"}
        assert model.model_validate({**commented, **extra}) == model.model_validate({**plain, **extra})


SNIPPETS = """
[vehicle]
agency = "a"
id = "b"
[mqtt]
[[mqtt]]
port = 1
port.x = 2
tls = nan
[tracking]
min_evidence = -1
[tracking.min_evidence]
kind = "sim"
kind = {}
kind = ["sim"]
name = 1
exposure = inf
"" = 1
2020-01-01 = 2020-01-01
url = "rtsp://[x@"
reading = [{}]
"{message}" = '{ge}'
"""
snippets = st.sampled_from(SNIPPETS.strip().splitlines())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    agent=st.lists(snippets) | st.lists(st.text(max_size=20)), camera=st.lists(snippets), tuned=st.lists(snippets)
)
def test_any_text_gives_settings_or_lines(
    write: Write, agent: list[str], camera: list[str], tuned: list[str]
) -> None:
    directory = write(
        **{"agent": "\n".join(agent), "cameras/sim": "\n".join(camera), "state/tuned/sim": "\n".join(tuned)}
    )
    problems = check(directory)
    assert all(re.match(r"(agent|cameras/sim)\.toml(:\d+)?: .", line) for line in problems)
    sound = write(agent=VEHICLE + '[state]\ndirectory = "state"', **{"cameras/sim": 'kind = "sim"'})
    assert load(sound).cameras[0].name == "sim"
