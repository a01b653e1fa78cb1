"""After `nexus erase BUYER` the buyer's address can be read nowhere: not in what Restate keeps, not by any key left."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.exceptions import InvalidTag

from services.cli.local import LocalStack
from services.common import seal
from tests.integration.behind import Behind
from tests.integration.booking import until
from tests.integration.client import Client, new_event, running, sign
from tests.integration.modes import normal_mode_only
from tests.integration.operating import Operator, new_id

pytestmark = normal_mode_only("what is stored")

SEALED = re.compile(rb"v[12]\.[\w-]{1,32}\.(?:[\w-]{1,64}\.[0-9a-f]{16}\.)?[\w-]{38,}")


@dataclass
class Sold:
    """What was done before the erasure, and what Restate told of it."""

    erased: str = ""
    kept: str = ""
    buyer_id: str = ""
    orders: list[str] = field(default_factory=list)
    sealed: set[bytes] = field(default_factory=set)


@pytest.fixture(scope="module")
def sold_and_stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStack, Sold]:
    """Sell, erase one of two buyers, stop everything."""
    with running(tmp_path_factory.mktemp("erased"), ops={"NEXUS_POLL_SECONDS": "1"}) as stack:
        sold = asyncio.run(_sell_and_erase(stack))
    return stack, sold


async def _sell_and_erase(stack: LocalStack) -> Sold:
    client = Client(stack)
    async with aiohttp.ClientSession() as session, aiohttp.ClientSession(stack.ops_url) as ops:
        try:
            return await _erase_one(Operator(stack, client, Behind(stack, session), ops))
        finally:
            await client.session.close()


async def _erase_one(operator: Operator) -> Sold:
    marker = uuid.uuid4().hex[:12]
    sold = Sold(f"ada.{marker}@example.org", f"bea.{marker}@example.org")
    event_id, _ = await new_event(operator.client)
    shop = _Shop(operator, event_id, sold.orders)
    ada, bea = f"ada-{marker}", f"bea-{marker}"
    await shop.buy(ada, sold.erased, "A-1-1")
    await shop.buy(bea, sold.kept, "A-1-2")
    await shop.mailed(sold.erased, 1)
    await shop.mailed(sold.kept, 1)
    # Mails that wait, and an order that is being paid, when the erasure comes.
    await shop.mail_switch(refuse=True)
    waiting = await shop.buy(ada, sold.erased, "A-1-3")
    await shop.buy(bea, sold.kept, "A-1-4")
    await operator.switch(away=True)
    paying = asyncio.create_task(shop.buy(ada, sold.erased, "A-1-5"))
    await until(lambda: shop.is_tried(sold.orders[-1]), "the order to be paid")
    told = await asyncio.to_thread(operator.nexus, "erase", ada, "--json")
    assert told.returncode == 0, told
    answer = json.loads(told.stdout)
    assert (answer["action"], answer.get("remains", [])) == ("ERASE_ACTION_ERASED", [])
    sold.buyer_id = answer["buyer_id"]
    assert not paying.done(), "the erasure came while the order was being paid"
    await operator.switch()
    paid = await paying
    assert await shop.seat_is("A-1-5", "SOLD")
    await shop.mail_switch(refuse=False)
    await shop.mailed(sold.kept, 2)
    await until(shop.is_mailer_idle, "no mail to be stuck", 40)
    assert len(await shop.mails(sold.erased)) == 1, "mails that waited are dropped"
    for order_id in (waiting, paid):
        timeline = await operator.call("GET", f"/v1/orders/{order_id}:timeline")
        assert "its buyer was erased" in json.dumps(timeline.json), timeline
        assert timeline.json["order"]["state"] == "ORDER_STATE_CONFIRMED"
    again = await asyncio.to_thread(operator.nexus, "erase", ada)
    assert (again.returncode, again.stdout) == (
        0,
        f"{sold.buyer_id} nothing there: never checked out, or erased before\n",
    )
    # Whoever comes back is a buyer like any other, with a new key.
    later = f"later.{marker}@example.org"
    await shop.buy(ada, later, "A-1-6")
    await shop.mailed(later, 1)
    journals = await operator.behind.query("SELECT raw FROM sys_journal WHERE raw IS NOT NULL")
    states = await operator.behind.query("SELECT value FROM state")
    for value in [row["raw"] for row in journals] + [row["value"] for row in states]:
        sold.sealed |= set(SEALED.findall(bytes.fromhex(value)))
    return sold


@dataclass
class _Shop:
    operator: Operator
    event_id: str
    orders: list[str]

    async def buy(self, subject: str, email: str, seat_id: str) -> str:
        order_id = new_id("order")
        self.orders.append(order_id)
        body = {"order_id": order_id, "event_id": self.event_id, "seat_ids": [seat_id], "email": email}
        token = sign(self.operator.stack, subject)
        answer = await self.operator.client.call("POST", "/v1/orders", token, body | {"payment_method": "card_success"})
        assert answer.json["state"] == "ORDER_STATE_CONFIRMED", answer
        return order_id

    async def mails(self, address: str) -> list[Any]:
        url = f"{self.operator.stack.mail_url}/messages"
        async with self.operator.client.session.get(url, params={"to": address}) as answer:
            return list((await answer.json())["messages"])

    async def mailed(self, address: str, count: int) -> None:
        async def are_there() -> bool:
            return len(await self.mails(address)) == count

        await until(are_there, f"{count} mails", 40)

    async def mail_switch(self, **switches: Any) -> None:
        url = f"{self.operator.stack.mail_url}/switches"
        async with self.operator.client.session.put(url, json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def seat_is(self, seat_id: str, status: str) -> bool:
        answer = await self.operator.client.call("GET", f"/v1/events/{self.event_id}/tickets/{seat_id}")
        return bool(answer.json["status"] == f"SEAT_STATUS_{status}")

    async def is_tried(self, order_id: str) -> bool:
        record = (await self.operator.behind.state("Checkout", order_id)).get("order", {})
        return "authorize" in record.get("tried", [])

    async def is_mailer_idle(self) -> bool:
        waiting = "target_service_name = 'Mailer' AND status <> 'completed'"
        return not await self.operator.behind.query(f"SELECT id FROM sys_invocation WHERE {waiting}")


def test_the_address_is_in_no_file(sold_and_stopped: tuple[LocalStack, Sold]) -> None:
    """Restate's data folder, the store of keys, the ledger, the logs: nowhere; the order itself is found there."""
    stack, sold = sold_and_stopped
    files = {path: path.read_bytes() for path in stack.home.rglob("*") if path.is_file()}
    of_restate = [path for path in files if stack.home / "data" / "restate" in path.parents]
    assert any(sold.orders[0].encode() in files[path] for path in of_restate), "the control: this look finds things"
    for address in (sold.erased, sold.kept):
        name = address.partition("@")[0].encode()
        assert [str(path) for path, content in files.items() if name in content] == []


def test_no_key_that_is_left_opens_it(sold_and_stopped: tuple[LocalStack, Sold]) -> None:
    """Every sealed text that Restate still has, against every key and every order; the other buyer's open."""
    stack, sold = sold_and_stopped
    of_files = {
        found
        for path in (stack.home / "data" / "restate").rglob("*")
        if path.is_file()
        for found in SEALED.findall(path.read_bytes())
    }
    texts = {text.decode() for text in sold.sealed | of_files}
    mine = {text for text in texts if text.split(".")[2] == sold.buyer_id}
    assert not [text for text in texts if text.startswith("v1.")], "nothing is sealed by the ring alone"
    assert len(mine) >= 3, "texts of the erased buyer are still there, closed"
    ring = dict([stack.keys.seal_keys.split(":", 1)])
    left = [path.read_bytes() for path in (stack.home / "data" / "buyer-keys").iterdir() if len(path.name) == 32]
    assert len(left) == 2, "the other buyer's, and the new one of the erased buyer"
    opened = {text: address for text in texts for address in _openings(text, ring, left, sold.orders)}
    assert sorted(set(opened.values())) == [sold.kept, f"later.{sold.erased.partition('.')[2]}"]
    assert sum(text in opened for text in mine) >= 1, "what was sealed after the erasure is open"
    assert sold.erased not in opened.values()


def _openings(text: str, ring: dict[str, str], left: list[bytes], contexts: list[str]) -> list[str]:
    """Try everything that whoever has all keys could try, whatever the text says of its key."""
    head, _, encoded = text.rpartition(".")
    raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    found = []
    for encoded_key in ring.values():
        key = base64.b64decode(encoded_key)
        for secret in (None, *left):
            cipher = seal._cipher(key, seal.DataKey("b", secret) if secret else None)
            for context in contexts:
                try:
                    opened = cipher.decrypt(raw[:12], raw[12:], f"{head}.{context}".encode())
                except InvalidTag:
                    continue
                found.append(opened.decode())
    return found


def test_the_erasure_is_logged_without_the_buyer(sold_and_stopped: tuple[LocalStack, Sold]) -> None:
    """One line each, with the hashed ids of buyer and operator."""
    stack, sold = sold_and_stopped
    lines = [json.loads(line) for line in _log(stack, "ops").splitlines() if '"buyer erased"' in line]
    assert [(line["buyer"], line["was_there"]) for line in lines] == [(sold.buyer_id, True), (sold.buyer_id, False)]
    assert all(re.fullmatch("[0-9a-f]{32}", line["by"]) for line in lines)
    assert len([line for line in _log(stack, "checkout").splitlines() if "its buyer was erased" in line]) >= 2


def _log(stack: LocalStack, component: str) -> str:
    path: Path = stack.processes.log_file(component)
    return path.read_text(errors="replace")
