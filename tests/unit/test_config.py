"""Settings fail fast, name what is wrong, and never print a secret."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from services.common.config import ConfigError, EndpointSettings, Port, Secret, load, load_or_exit


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    port: Port
    key: Secret
    names: tuple[str, ...] = ()
    server: Literal["granian", "hypercorn"] = "granian"
    insecure: bool = False
    limit: int | None = None


def test_settings_come_from_the_environment() -> None:
    """Numbers, lists, booleans and choices are read from text; what is not set has its default."""
    settings = load(Settings, {"NEXUS_PORT": "80", "NEXUS_KEY": "k", "NEXUS_NAMES": "a, b,", "NEXUS_INSECURE": "true"})
    assert settings == Settings(port=80, key=Secret("k"), names=("a", "b"), insecure=True)


def test_every_wrong_variable_is_named_at_once() -> None:
    """One start tells all that is wrong."""
    with pytest.raises(ConfigError) as caught:
        load(Settings, {"NEXUS_PORT": "99999", "NEXUS_SERVER": "apache", "NEXUS_LIMIT": "many"})
    assert caught.value.problems == {
        "NEXUS_PORT": "expected a whole number >= 0 and <= 65535",
        "NEXUS_KEY": "is required: a secret text",
        "NEXUS_SERVER": "expected one of granian, hypercorn",
        "NEXUS_LIMIT": "expected a whole number",
    }


def test_no_value_is_printed() -> None:
    """A secret in the wrong variable, or in the right one, shows nowhere."""
    with pytest.raises(ConfigError) as caught:
        load(Settings, {"NEXUS_PORT": "hunter2", "NEXUS_KEY": "k", "NEXUS_SERVER": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load(Settings, {"NEXUS_PORT": "1", "NEXUS_KEY": "hunter2"}))


def test_a_component_has_its_own_defaults() -> None:
    """Defaults of the call go before the type's; the environment goes before both."""
    defaults = {"port": 9081, "metrics_port": 9181}
    assert load(EndpointSettings, {}, defaults).port == 9081
    assert load(EndpointSettings, {"NEXUS_PORT": "1"}, defaults).port == 1
    assert load(EndpointSettings, {"NEXUS_PORT": ""}, defaults).port == 9081


def test_a_process_with_wrong_settings_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per variable, no traceback."""
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Settings, {"NEXUS_PORT": "x"})
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in lines] == ["NEXUS_PORT", "NEXUS_KEY"]
