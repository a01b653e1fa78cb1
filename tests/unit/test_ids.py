"""Ids and keys: what may be one, and that no two things share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.ids import is_id, keyed_hash, object_key, split_key

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
LONGEST = 64

# From BADINPUT.md.
BAD_IDS = [
    "", " ", ".", "..", "../SeatMap", "a/b", "a%2Fb", "%00", "a\x00b", "x" * 10_000, "a\u202eb", "a\u200db",
    "\u00e9", "e\u0301", "\uff11", "\N{PILE OF POO}", "a\n", "\na", "a b", "a:b", "-a", "_a", "a.b", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", ["a", "Z", "0", "A-1-1", "null", "a_b", "x" * LONGEST])
def test_ids_of_the_contract_are_accepted(text: str) -> None:
    """Letters, digits, - and _ after a letter or digit make an id, up to 64 characters."""
    assert is_id(text)


@pytest.mark.parametrize("text", [*BAD_IDS, "x" * (LONGEST + 1)])
def test_anything_else_is_no_id(text: str) -> None:
    """Nothing that could leave its place in a path, a key or a log is an id."""
    assert not is_id(text)


@given(ids=st.lists(IDS, min_size=1, max_size=4))
def test_keys_can_be_taken_apart(ids: list[str]) -> None:
    """A key made of ids gives back these ids, so no two lists of ids share a key."""
    assert split_key(object_key(*ids)) == ids


@given(parts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), data=st.data())
def test_hash_tells_lists_of_parts_apart(parts: list[str], data: st.DataObject) -> None:
    """Texts cut at another place are another input: nobody makes one caller's hash out of another's."""
    joined = "".join(parts)
    cut = data.draw(st.integers(0, len(joined)))
    other = [joined[:cut], joined[cut:]]
    assert (keyed_hash(b"key", parts) == keyed_hash(b"key", other)) == (parts == other)


def test_hash_needs_the_key() -> None:
    """The hash depends on the key, is 32 hex digits, and its value never changes between versions."""
    made = keyed_hash(b"key", ["subject", "ada"])
    assert made != keyed_hash(b"other", ["subject", "ada"])
    # Computed once by hand: HMAC-SHA-256 over length-prefixed parts, first 128 bits. Buyers' keys depend on it.
    assert made == "c03e5731ce9e5fd81f144d0af810a185"
