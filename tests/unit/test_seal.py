"""Sealed texts: only the right key and the right context open them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.seal import KeyRing, SealBrokenError, SealKeysError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ADDRESS, ORDER = "ada@example.org", "order-1"


def entry(key_id: str, key: bytes) -> str:
    return f"{key_id}:{base64.b64encode(key).decode()}"


def ring(*entries: str) -> KeyRing:
    return KeyRing.parse(",".join(entries))


@given(plaintext=st.text(), context=st.text())
def test_opens_what_it_sealed(plaintext: str, context: str) -> None:
    """Whatever the text and the context, sealing and opening gives the text back."""
    keys = ring(entry("k1", OLD))
    assert keys.open(keys.seal(plaintext, context), context) == plaintext


def test_form_is_versioned_and_hides_the_text() -> None:
    """A sealed text names version and key, is safe in a URL, differs each time and does not show the text."""
    keys = ring(entry("k1", OLD))
    sealed, again = keys.seal(ADDRESS, ORDER), keys.seal(ADDRESS, ORDER)
    assert sealed.startswith("v1.k1.")
    assert sealed != again
    assert set(sealed.split(".", 2)[2]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert ADDRESS.encode() not in base64.urlsafe_b64decode(sealed.split(".")[2] + "==")


def test_another_order_cannot_open_it() -> None:
    """A sealed address that is moved to another order stays closed."""
    keys = ring(entry("k1", OLD))
    with pytest.raises(SealBrokenError):
        keys.open(keys.seal(ADDRESS, ORDER), "order-2")


def test_every_change_is_noticed() -> None:
    """No single character of a sealed text can be changed unnoticed."""
    keys = ring(entry("k1", OLD))
    sealed = keys.seal(ADDRESS, ORDER)
    # The last one is left out: its unused bits may change without a change of the bytes.
    for place in range(len(sealed) - 1):
        other = "A" if sealed[place] != "A" else "B"
        with pytest.raises(SealBrokenError):
            keys.open(sealed[:place] + other + sealed[place + 1 :], ORDER)


@pytest.mark.parametrize("sealed", ["", "v1", "v1.k1", "v1.k1.", "v1.k1.AAAA", "v1.k1.!!", "v1.k1.é", "v2.k1.AAAA"])
def test_nonsense_is_refused(sealed: str) -> None:
    """What was never sealed raises SealBrokenError and nothing else."""
    with pytest.raises(SealBrokenError):
        ring(entry("k1", OLD)).open(sealed, ORDER)


def test_rotation_seals_with_the_first_and_opens_with_all() -> None:
    """After a new key is put first, old texts still open, and once the old key is gone they do not."""
    sealed_before = ring(entry("old", OLD)).seal(ADDRESS, ORDER)
    both = ring(entry("new", NEW), entry("old", OLD))
    assert both.open(sealed_before, ORDER) == ADDRESS
    sealed_after = both.seal(ADDRESS, ORDER)
    only_new = ring(entry("new", NEW))
    assert only_new.open(sealed_after, ORDER) == ADDRESS
    with pytest.raises(SealBrokenError):
        only_new.open(sealed_before, ORDER)


def test_the_key_id_alone_does_not_choose_the_key() -> None:
    """Another key under the same id does not open the text."""
    with pytest.raises(SealBrokenError):
        ring(entry("k1", NEW)).open(ring(entry("k1", OLD)).seal(ADDRESS, ORDER), ORDER)


@pytest.mark.parametrize(
    "text",
    ["", "k1", "k1:", "k1:c2hvcnQ=", "k1:not base64!", ":" + "A" * 44, "a.b:" + base64.b64encode(OLD).decode()],
)
def test_bad_key_rings_are_refused_without_showing_them(text: str) -> None:
    """A mistyped ring is refused by the place of its entry, and the error does not repeat it."""
    with pytest.raises(SealKeysError, match=r"entry 2") as caught:
        KeyRing.parse(entry("good", OLD) + "," + text)
    secret = text.partition(":")[2]
    assert not secret or secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_id_is_used_once() -> None:
    """Two keys under one id are refused: it would be a matter of luck which of them opens."""
    with pytest.raises(SealKeysError, match="twice"):
        ring(entry("k1", OLD), entry("k1", NEW))


def test_neither_repr_nor_error_shows_anything() -> None:
    """A ring prints its ids only, and an error carries neither text nor key."""
    keys = ring(entry("k1", OLD))
    assert repr(keys) == "KeyRing(k1)"
    sealed = keys.seal(ADDRESS, ORDER)
    with pytest.raises(SealBrokenError) as caught:
        keys.open(sealed, "order-2")
    assert ADDRESS not in str(caught.value)
    assert sealed not in str(caught.value)
