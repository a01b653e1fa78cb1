"""What was stored by an earlier version is read by this one; each stored type names its version."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import services.checkout
import services.seatmap
import services.ticket
from services.common.migrations import UnknownSchemaError, migrate
from services.common.serde import StateSerde, serde

FIXTURES = Path(__file__).parents[1] / "fixtures" / "state"


def stored_types() -> dict[str, type[Any]]:
    """Find every dataclass with `schema_version` in the endpoints' packages."""
    found = {}
    for package in (services.ticket, services.seatmap, services.checkout):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if dataclasses.is_dataclass(value) and "schema_version" in value.__dataclass_fields__:
                    found[value.__name__] = value
    return found


STORED = stored_types()
RELEASES = sorted(path.name for path in FIXTURES.iterdir())


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", sorted(STORED))
def test_state_of_each_release_is_read(release: str, name: str) -> None:
    """A value that a released version stored is read, and stored again it is of this version."""
    written = (FIXTURES / release / f"{name}.json").read_bytes()
    state = serde(STORED[name]).deserialize(written)
    assert isinstance(state, STORED[name])
    assert state.schema_version == STORED[name].__dataclass_fields__["schema_version"].default
    assert serde(STORED[name]).deserialize(serde(STORED[name]).serialize(state)) == state


def test_fixtures_say_something() -> None:
    """A fixture that holds only defaults would prove nothing of the fields."""
    for path in FIXTURES.rglob("*.json"):
        fields = STORED[path.stem].__dataclass_fields__
        told = msgspec.json.decode(path.read_bytes())
        assert set(told) == set(fields), path


def test_state_of_a_newer_version_is_not_guessed() -> None:
    """A value that newer code stored fails loudly instead of losing what this code does not know."""
    for stored in STORED.values():
        with pytest.raises(UnknownSchemaError):
            StateSerde(stored).deserialize(b'{"schema_version": 99}')


def test_migrations_run_in_order() -> None:
    """An old value takes every step up to the current version, each on the result of the one before."""
    steps = {
        ("Ticket", 1): lambda raw: {**raw, "seen": ["1"]},
        ("Ticket", 2): lambda raw: {**raw, "seen": [*raw["seen"], "2"]},
    }
    assert migrate("Ticket", {"a": 1}, 3, steps) == {"a": 1, "seen": ["1", "2"], "schema_version": 3}
    with pytest.raises(UnknownSchemaError):
        migrate("Ticket", {"schema_version": 3}, 4, steps)
