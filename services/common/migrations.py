"""Stored state from one version to the next. Pure.

Every stored type carries `schema_version`, whose default is the version that this code writes. When a
type changes so that old JSON no longer means the same, raise the default and add the step here; fixtures
of each released version are kept in tests/fixtures/state and must still load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Raw = dict[str, Any]
Migration = Callable[[Raw], Raw]

MIGRATIONS: dict[tuple[str, int], Migration] = {}
"""(type name, version that it leads from) -> what makes the next version of it."""


class UnknownSchemaError(Exception):
    """State was written by a newer version than this code knows, or no step leads from an old one.

    Not a refusal: the handler fails and is tried again, until code that knows the version serves it.
    """


def migrate(
    type_name: str, raw: Raw, current: int, migrations: Mapping[tuple[str, int], Migration] | None = None
) -> Raw:
    """Lead a stored value of `type_name` to the `current` version, step by step.

    Raises UnknownSchemaError.
    """
    known = MIGRATIONS if migrations is None else migrations
    version = int(raw.get("schema_version", 1))
    while version != current:
        step = known.get((type_name, version))
        if step is None:
            raise UnknownSchemaError(f"{type_name}: no step leads from schema version {version} to {current}")
        raw = {**step(raw), "schema_version": version + 1}
        version += 1
    return raw
