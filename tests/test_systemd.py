"""The unit as systemd itself judges it; needs systemd-analyze of Debian's package systemd."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.errors import ConfigurationError

UNIT = Path(__file__).parents[1] / "systemd/edge-agent.service"
PROGRAM = "/opt/edge-agent/bin/edge-agent"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Copy the unit with a program that is there in place of the installed one."""
    program = tmp_path / "edge-agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UNIT.read_text()
    assert f"ExecStart={PROGRAM} run --config /etc/edge-agent\n" in text
    copy = tmp_path / "edge-agent.service"
    copy.write_text(text.replace(PROGRAM, str(program)))
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_unit(unit: Path) -> None:
    result = analyze("verify", str(unit))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_systemd
def test_a_key_that_systemd_does_not_know_would_be_noticed(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nWatchdogSecs=60"))
    assert "WatchdogSecs" in analyze("verify", str(unit)).stderr


@needs_systemd
def test_the_unit_is_hardened_and_may_still_ask_for_the_clocks_state(unit: Path) -> None:
    result = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(unit))
    assert result.returncode == 0, result.stdout
    assert "adjtimex is allowed" in result.stdout


def test_the_unit_never_gives_up_but_for_a_wrong_configuration() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    service = parser["Service"]
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == str(ConfigurationError.exit_status)
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30
    assert service["StateDirectory"] == "edge-agent"


def test_what_the_install_page_copies_is_there_and_goes_where_the_unit_looks() -> None:
    root = UNIT.parents[1]
    page = (root / "docs/install.md").read_text()
    sources = set(re.findall(r"(?<![\w/])(?:config|systemd)/[\w./-]*[\w/]", page))
    assert sources >= {"config/agent.toml", "systemd/edge-agent.service"}
    assert [source for source in sorted(sources) if not (root / source).exists()] == []
    assert "python3 -m venv /opt/edge-agent\n" in page
    assert "edge-agent check /etc/edge-agent\n" in page
    assert "adduser --system --group" in page


def test_what_the_servers_page_copies_is_there_and_goes_where_its_unit_looks() -> None:
    root = UNIT.parents[1]
    page = (root / "docs/server.md").read_text()
    sources = set(re.findall(r"(?<![\w/.])(?:config|examples)/[\w./*-]*\w", page))
    assert sources >= {"config/brokers/mosquitto.conf", "examples/central_store/central-store*.service"}
    assert [source for source in sorted(sources) if not list(root.glob(source))] == []
    unit = (root / "examples/central_store/central-store.service").read_text()
    for place in re.findall(r"(?:/etc|/opt|/var/lib)/central-store(?=[/ \n])", unit):
        assert place in page
