"""Objects' state by Restate's SQL table `state`, in pages: one query per page of many objects, no call per object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

import msgspec

from services.common.errors import UnavailableError
from services.common.migrations import UnknownSchemaError
from services.common.serde import serde
from services.ops.tables import Tables, literal

PAGE_ROWS: Final = 20_000
"""Rows of one query: of Tickets 6 MB. A scan of 77,000 rows takes 0.2 s, so few and large pages are best."""

PAGE_WIDE_ROWS: Final = 5_000
"""The same where a row is some kilobytes."""

NAMED_KEYS: Final = 1_000
"""Keys that one query names."""

Item = TypeVar("Item")
Value = TypeVar("Value")


class StateRow(msgspec.Struct, frozen=True):
    """A value of an object's state; `value_utf8` is missing where it is no UTF-8 text."""

    service_key: str
    key: str = ""
    value_utf8: str = ""


class UnreadableError(ValueError):
    """A value is not what its type says."""


class StateTable:
    """Reads values of one service's objects."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def of(self, service: str, key: str, where: str = "") -> list[StateRow]:
        """Read the values of one object, those that `where` picks."""
        condition = f"service_name = {literal(service)} AND service_key = {literal(key)}" + _also(where)
        return await self._ask(condition, "")

    async def under(
        self, service: str, event_id: str, where: str, *, page_rows: int = PAGE_ROWS
    ) -> AsyncIterator[StateRow]:
        """Read values of all objects whose key begins with the event, page by page."""
        # After the colon comes the semicolon: no pattern, which would read `_` in an id as any character.
        span = f"service_key >= {literal(event_id + ':')} AND service_key < {literal(event_id + ';')}"
        async for row in self.all_of(service, f"{span}{_also(where)}", page_rows=page_rows):
            yield row

    async def all_of(self, service: str, where: str, *, page_rows: int = PAGE_ROWS) -> AsyncIterator[StateRow]:
        """Read the values that `where` picks of all objects, page by page in the order of their keys."""
        after = ""
        while True:
            condition = f"service_name = {literal(service)} AND {where}{after}"
            rows = await self._ask(condition, f" ORDER BY service_key, key LIMIT {page_rows}")
            for row in rows:
                yield row
            if len(rows) < page_rows:
                return
            last_key, last_name = literal(rows[-1].service_key), literal(rows[-1].key)
            after = f" AND (service_key > {last_key} OR (service_key = {last_key} AND key > {last_name}))"

    async def named(self, service: str, keys: Collection[str], where: str) -> AsyncIterator[StateRow]:
        """Read values of the objects with these keys."""
        for part in _parts(sorted(keys), NAMED_KEYS):
            condition = f"service_name = {literal(service)} AND service_key IN ({listed(part)}){_also(where)}"
            for row in await self._ask(condition, ""):
                yield row

    async def keys(self, service: str, name: str) -> AsyncIterator[str]:
        """Give the keys of all objects that have a value of this name."""
        after = ""
        while True:
            sql = (
                f"SELECT service_key FROM state WHERE service_name = {literal(service)} AND key = {literal(name)}"  # noqa: S608
                f"{after} ORDER BY service_key LIMIT {PAGE_ROWS * 10}"
            )
            rows = await self._tables.query(sql, StateRow)
            for row in rows:
                yield row.service_key
            if len(rows) < PAGE_ROWS * 10:
                return
            after = f" AND service_key > {literal(rows[-1].service_key)}"

    async def _ask(self, condition: str, tail: str) -> list[StateRow]:
        sql = f"SELECT service_key, key, value_utf8 FROM state WHERE {condition}{tail}"  # noqa: S608 - literal() quotes
        return await self._tables.query(sql, StateRow)


def decode(row: StateRow, type_: type[Value]) -> Value:
    """Read a value as the handlers do, older versions included.

    Raises UnreadableError, and UnavailableError for a version that this code does not know.
    """
    try:
        value: Value = serde(type_).deserialize(row.value_utf8.encode() or b"null")
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"{row.key} of {row.service_key}") from error
    except UnknownSchemaError as error:
        raise UnavailableError(f"state of another version: {error}; ops must be as new as the endpoints") from error
    return value


def listed(texts: Iterable[str]) -> str:
    """Write texts as an SQL list."""
    return ", ".join(map(literal, texts))


def _also(where: str) -> str:
    return f" AND {where}" if where else ""


def _parts(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
