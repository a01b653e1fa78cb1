"""The tickets' mail: one for each confirmed order, whatever the mail server does meanwhile."""

from __future__ import annotations

import uuid
from typing import Any

from tests.integration.checkout_fixtures import Shop, until


def an_address() -> str:
    return f"buyer-{uuid.uuid4().hex[:12]}@example.org"


async def the_mail(shop: Shop, address: str, seconds: float = 20) -> dict[str, Any]:
    """Wait for the mails to an address, and insist that there is one."""
    found = await until(lambda: shop.mails(address), f"a mail to {address}", seconds)
    assert len(found) == 1, found
    return found[0]


async def is_mailer_idle(shop: Shop) -> bool:
    """Tell whether no mail is on its way any more."""
    return not await shop.query(
        "select id from sys_invocation where target_service_name = 'Mailer' and status != 'completed'"
    )


async def test_a_confirmed_order_is_mailed_with_its_tickets(shop: Shop) -> None:
    """One mail comes, which names order, event, seats and total, and whose Message-ID follows from the order."""
    event_id, ada, address = await shop.event(title="Faust"), shop.buyer(), an_address()
    order = (await shop.buy(ada, event_id, "A-1-1", "A-1-2", email=address)).json
    mail = await the_mail(shop, address)
    assert order["order_id"] in mail["message_id"]
    assert "Faust" in mail["subject"]
    for body in (mail["text"], mail["html"]):
        for expected in (order["order_id"], "A-1-1", "A-1-2", "90.00 EUR"):
            assert expected in body
    await until(lambda: is_mailer_idle(shop), "the mailer to be idle")
    assert len(await shop.mails(address)) == 1


async def test_orders_that_are_not_confirmed_are_not_mailed(shop: Shop) -> None:
    """A declined order sends no mail."""
    event_id, ada, address = await shop.event(), shop.buyer(), an_address()
    assert (await shop.buy(ada, event_id, "A-1-1", card="card_decline", email=address)).status == 402
    # A mail asked for before this one would have been handed over by then.
    other = an_address()
    assert (await shop.buy(ada, event_id, "A-1-2", email=other)).status == 200
    await the_mail(shop, other)
    await until(lambda: is_mailer_idle(shop), "the mailer to be idle")
    assert await shop.mails(address) == []


async def test_a_mail_server_that_refuses_delays_nothing_but_the_mail(shop: Shop) -> None:
    """While the mail server refuses, orders confirm as ever; when it takes mail again, one mail comes."""
    event_id, ada, address = await shop.event(), shop.buyer(), an_address()
    switches = f"{shop.stack.mail_url}/switches"
    await shop.put(switches, {"refuse": True})
    try:
        bought = await shop.buy(ada, event_id, "A-1-1", email=address)
        assert bought.json["state"] == "ORDER_STATE_CONFIRMED"

        async def is_trying_again() -> bool:
            tries = await shop.query(
                "select id from sys_invocation where target_service_name = 'Mailer' and retry_count > 1"
            )
            return bool(tries)

        await until(is_trying_again, "the mail to be tried again")
        assert await shop.mails(address) == []
        assert await shop.seat(event_id, "A-1-1") == "SOLD"
    finally:
        await shop.put(switches, {"refuse": False})
    await the_mail(shop, address)
    await until(lambda: is_mailer_idle(shop), "the mailer to be idle")
    assert len(await shop.mails(address)) == 1
    order_id = bought.json["order_id"]
    assert await shop.effects(order_id) == ["authorized", "captured"]


async def test_the_address_is_nowhere_in_the_open(shop: Shop) -> None:
    """Neither logs, nor state, nor what Restate keeps of calls hold the buyer's address."""
    event_id, ada = await shop.event(), shop.buyer()
    name = f"secret{uuid.uuid4().hex}"
    bought = await shop.buy(ada, event_id, "A-1-1", email=f"{name}@example.org")
    assert bought.status == 200
    await the_mail(shop, f"{name}@example.org")
    logs = {path.name: path.read_text(errors="replace") for path in shop.stack.processes.log.glob("*.log")}
    assert logs.keys() >= {"gateway.log", "checkout.log", "restate.log"}
    assert [log for log, text in logs.items() if name in text] == []
    # What Restate keeps of the calls, and the state of all objects.
    journals = await shop.query("select raw from sys_journal where raw is not null")
    states = await shop.query("select value from state")
    kept = [bytes.fromhex(row["raw"]) for row in journals] + [bytes.fromhex(row["value"]) for row in states]
    assert sum(bought.json["order_id"].encode() in content for content in kept) > 3
    assert [content for content in kept if name.encode() in content] == []
