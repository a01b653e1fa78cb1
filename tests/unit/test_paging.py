"""Page tokens: a list is walked through once and completely, and only our own tokens are read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import paging
from services.common.errors import InvalidRequestError

POSITIONS = st.lists(st.integers(min_value=0, max_value=10**18), min_size=1, max_size=4)


@given(positions=POSITIONS)
def test_token_gives_its_positions_back(positions: list[int]) -> None:
    """What was put into a token comes out of it, and the token is safe in a URL."""
    token = paging.encode(*positions)
    assert paging.decode(token, len(positions)) == tuple(positions)
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_token_is_the_beginning(count: int) -> None:
    """Without a token a list begins at its beginning."""
    assert paging.decode("", count) == (0,) * count


@given(items=st.lists(st.integers()), size=st.integers(1, 7))
def test_pages_make_up_the_list(items: list[int], size: int) -> None:
    """Following the tokens gives each item once, in order, in full pages but for the last, and then ends."""
    seen: list[int] = []
    token, pages = "", 0
    while True:
        part, token = paging.page(items, size, token)
        seen += part
        pages += 1
        if not token:
            break
        assert len(part) == size
    assert seen == items
    assert pages == max(1, -(-len(items) // size))


def test_page_past_the_end_is_empty_and_the_last() -> None:
    """A token that points past the end of a list that has become shorter gives an empty last page."""
    assert paging.page([1, 2], 2, paging.encode(4)) == ([], "")


def forged(text: str) -> str:
    """Encode as `encode` does, whatever the text."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        forged("-1"), forged("+1"), forged(" 1"), forged("1 "), forged("01"), forged("1_0"), forged("1.0"),
        forged("1:2"), forged("1:"), forged("one"), forged("\u0661"), forged("9" * 5000), "x", "!!!!", "\u00e9", "MQ==",
        "MQ\n", "a" * 10_001, " ", "MR",
    ],
)  # fmt: skip
def test_foreign_tokens_are_refused(token: str) -> None:
    """A token that `encode` did not make, however close to one, is refused naming the field."""
    with pytest.raises(InvalidRequestError) as refused:
        paging.decode(token, 1)
    assert set(refused.value.violations) == {"page_token"}


@pytest.mark.parametrize("text", ["-1:5", "5:-1"])
def test_no_position_is_negative(text: str) -> None:
    """A forged position before the beginning is refused, whichever of several it is."""
    with pytest.raises(InvalidRequestError):
        paging.decode(forged(text), 2)


@given(token=st.text(min_size=1, max_size=20))
def test_any_text_is_read_exactly_or_refused(token: str) -> None:
    """No text makes the reader fail otherwise, and no two texts are the same token."""
    try:
        positions = paging.decode(token, 2)
    except InvalidRequestError:
        return
    assert paging.encode(*positions) == token


@given(positions=POSITIONS, count=st.integers(1, 4))
def test_token_of_another_list_is_refused(positions: list[int], count: int) -> None:
    """A token with another number of positions belongs to another list and is refused."""
    token = paging.encode(*positions)
    if count == len(positions):
        assert paging.decode(token, count) == tuple(positions)
        return
    with pytest.raises(InvalidRequestError):
        paging.decode(token, count)
