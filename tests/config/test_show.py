import re
import tomllib
from pathlib import Path

import pytest

from edge_agent.config.loader import Configuration, load
from edge_agent.config.reference import reference
from edge_agent.config.settings import CAMERA_KINDS, AgentSettings
from edge_agent.config.show import show


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "cameras").mkdir()
    (tmp_path / "password").write_text("hunter2")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "agent.toml").write_text(
        '[vehicle]\nagency = "example"\nid = "car-1"\n'
        '[mqtt]\nusername = "\\"ä"\npassword_file = "password"\n[tracking]\nmin_evidence = 5\n'
    )
    (tmp_path / "cameras/front.toml").write_text('kind = "rtsp"\nurl = "rtsp://h/1"\ncredentials_file = "password"')
    return load(tmp_path)


def test_what_is_shown_is_toml_that_says_what_is_in_force(configuration: Configuration, tmp_path: Path) -> None:
    document = tomllib.loads("\n".join(show(configuration, origin=True)))
    front = document.pop("cameras")["front"]
    assert AgentSettings.model_validate(document) == configuration.agent
    assert CAMERA_KINDS["rtsp"].model_validate(front) == configuration.cameras[0]


def test_each_value_tells_its_origin_if_asked(configuration: Configuration) -> None:
    with_origin = [re.sub(" +", " ", line) for line in show(configuration, origin=True)]
    assert 'agency = "example" # agent.toml:2' in with_origin
    assert "port = 8883 # default" in with_origin
    assert with_origin.count("min_evidence = 5.0 # agent.toml:8") == 2
    assert 'url = "rtsp://h/1" # cameras/front.toml:2' in with_origin
    assert 'reads = "21 days" # default' in with_origin  # a time, not the name of a law
    assert "port = 8883" in show(configuration)


def test_a_secret_is_shown_as_the_path_of_its_file(configuration: Configuration, tmp_path: Path) -> None:
    text = "\n".join(show(configuration))
    assert f'password_file = "{tmp_path}/password"' in text
    assert "hunter2" not in text


def test_the_committed_reference_is_what_the_settings_say() -> None:
    committed = Path(__file__).parents[2] / "docs/configuration.md"
    assert committed.read_text() == reference(), (
        "run: python -m edge_agent.config.reference > docs/configuration.md"
    )


def test_every_setting_is_explained_in_one_line() -> None:
    for line in reference().splitlines():
        if line.startswith("| `"):
            *_, meaning, end = line.split(" |")
            assert meaning.endswith("."), line
            assert end == ""
