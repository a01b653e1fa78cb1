"""The mail that brings the tickets, as it is written."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import jinja2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.checkout import mail
from services.checkout.messages import MailRequest
from services.common.money import Money
from services.common.seats import HeldSeat

AT = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
SENDER = "Nexus <tickets@nexus.invalid>"
REQUEST = MailRequest(
    order_id="order-1",
    sealed_address="v1.k1.sealed",
    event_title="Tosca & <friends>",
    event_venue="Opéra",
    event_starts_at=datetime(2030, 1, 1, 20, 0, tzinfo=UTC),
    seats=[
        HeldSeat("A-1-1", "std", "A", Money("EUR", 4500)),
        HeldSeat("A-1-2", "std", "A", Money("EUR", 705)),
    ],
    total=Money("EUR", 5205),
)


def written(request: MailRequest = REQUEST, address: str = "ada@example.org") -> EmailMessage:
    """Render, send through bytes, and read again: what a recipient's program sees."""
    sent = mail.render(request, address, SENDER, AT)
    return message_from_bytes(bytes(sent), EmailMessage, policy=policy.default)


def body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content())


def test_headers() -> None:
    """A mail names sender, recipient, subject, the caller's date and a Message-ID made from the order."""
    message = written()
    assert message["From"].addresses[0].addr_spec == "tickets@nexus.invalid"
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.org"]
    assert message["Subject"] == "Your tickets: Tosca & <friends>"
    assert message["Date"].datetime == AT
    assert message["Message-ID"] == "<order-1@nexus.invalid>"


def test_long_order_ids_keep_their_message_id() -> None:
    """The Message-ID of the longest order id arrives unchanged: it is neither folded nor encoded."""
    order_id = "o" + "-x9_" * 15 + "zzz"
    raw = bytes(mail.render(msgspec.structs.replace(REQUEST, order_id=order_id), "a@example.org", SENDER, AT))
    assert f"<{order_id}@nexus.invalid>".encode() in raw


def test_a_repeat_is_the_same_mail() -> None:
    """Rendered again for the same order, the mail has the same Message-ID, subject and words."""
    first, second = written(), written()
    assert first["Message-ID"] == second["Message-ID"]
    assert body(first, "plain") == body(second, "plain")


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_both_forms_tell_all(subtype: str) -> None:
    """Text and HTML both carry venue, time, order, every seat with its price, and the total."""
    content = body(written(), subtype)
    for wanted in ("Opéra", "2030-01-01 20:00 UTC", "order-1", "A-1-1", "45.00 EUR", "A-1-2", "7.05 EUR", "52.05 EUR"):
        assert wanted in content


def test_html_is_escaped_and_text_is_not() -> None:
    """A title with markup stays a title: escaped in HTML, as it is in text."""
    message = written()
    assert "Tosca &amp; &lt;friends&gt;" in body(message, "html")
    assert "<friends>" not in body(message, "html")
    assert "Tosca & <friends>" in body(message, "plain")


def test_templates_are_strict() -> None:
    """A template that asks for a value that is not there fails instead of leaving a gap."""
    with pytest.raises(jinja2.UndefinedError):
        mail._TEMPLATES.from_string("{{ missing }}").render()


@given(title=st.text(max_size=200), venue=st.text(max_size=50))
def test_no_title_makes_a_header(title: str, venue: str) -> None:
    """Whatever an organizer calls the event, a mail has the same headers and one recipient."""
    request = msgspec.structs.replace(
        REQUEST, event_title=f"x\r\nBcc: spy@example.org\n{title}", event_venue=f"{venue}\r\n.\r\n"
    )
    message = written(request)
    assert sorted(message.keys()) == sorted(written().keys())
    assert "Bcc" not in message
    assert len(message["To"].addresses) == 1
    assert message.defects == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "ada@example.org\r\nBcc: spy@example.org",
        "ada@example.org\n",
        "ada@example.org, spy@example.org",
        "Ada <ada@example.org>",
        "ada@exa mple.org",
        "ada@example.org>",
        "ädä@example.org",
        "a" * 65 + "@example.org",
    ],
)
def test_bad_addresses_are_refused_unseen(address: str) -> None:
    """What is no single address is refused, and the error does not repeat it."""
    with pytest.raises(mail.MailAddressError) as caught:
        mail.render(REQUEST, address, SENDER, AT)
    assert not address or address not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["a,spy", "a>spy", '"a', "a;b", "a:b", "a(b", "..", "a\\"])
def test_odd_names_stay_one_recipient(name: str) -> None:
    """A name with signs that mean something in headers is quoted, and stays one recipient."""
    message = written(address=f"{name}@example.org")
    (recipient,) = message["To"].addresses
    assert (recipient.username, recipient.domain) == (name, "example.org")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money("EUR", 4500), "45.00 EUR"),
        (Money("EUR", 5), "0.05 EUR"),
        (Money("EUR", 0), "0.00 EUR"),
        (Money("JPY", 4500), "4500 JPY"),
        (Money("JPY", 0), "0 JPY"),
        (Money("KWD", 4500), "4.500 KWD"),
        (Money("KWD", 5), "0.005 KWD"),
        (Money("CLF", 12345), "1.2345 CLF"),
        (Money("EUR", -5), "-0.05 EUR"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: Money, text: str) -> None:
    """An amount of minor units is written with as many decimals as its currency has."""
    assert mail.format_money(amount) == text
