"""`nexus race` at a real stack: it passes where all is well, sees what is not, and leaves nothing on sale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from services.cli.local import LocalStack
from tests.integration.client import Client
from tests.integration.modes import normal_mode_only
from tests.integration.test_cli_booking import NOT_SIGNED_IN, REFUSED, UNREACHABLE, USED_WRONGLY, Nexus, nexus

pytestmark = normal_mode_only("the command line")

__all__ = ["nexus"]


def named(report: dict[str, Any]) -> list[str]:
    return [check["check"] for check in report["checks"] if not check["ok"]]


async def test_a_race_has_one_winner(nexus: Nexus, client: Client) -> None:
    """One SOLD, all others SEAT_UNAVAILABLE, one capture, one mail; the event is closed."""
    done = await nexus("race", "--buyers", "40", "--json")
    assert done.code == 0, done
    assert {(it["code"], it["reason"]): it["count"] for it in done.json["outcomes"]} == {
        ("FAILED_PRECONDITION", "SEAT_UNAVAILABLE"): 39,
        ("OK", "ORDER_STATE_CONFIRMED"): 1,
    }
    assert len(done.json["winners"]) == 1
    event = done.json["event_id"]
    assert event.startswith("helm-test-")
    shown = await client.call("GET", f"/v1/events/{event}")
    assert shown.json["state"] == "EVENT_STATE_CLOSED"


async def test_people_get_a_table(nexus: Nexus) -> None:
    """Counts by code and reason, and a line for each check."""
    done = await nexus("race", "--buyers", "3")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].split() == ["code", "reason", "buyers"]
    assert [line for line in lines if line.startswith("failed")] == []
    assert len([line for line in lines if line.startswith("ok ")]) == 6


async def test_a_race_sees_a_second_capture_and_a_lost_mail(nexus: Nexus, stack: LocalStack, client: Client) -> None:
    """A ledger that tells of two captures, and a mail server that got none: each is named, and the event is closed."""

    async def ledger(http: web.Request) -> web.Response:
        async with aiohttp.ClientSession() as session:
            url = f"{stack.payments_url}/ledger"
            async with session.get(url, params={"payment_key": http.query["payment_key"]}) as answer:
                entries = (await answer.json())["entries"]
        return web.json_response({"entries": entries + [it for it in entries if it["effect"] == "captured"]})

    async def messages(_http: web.Request) -> web.Response:
        return web.json_response({"messages": [{"message_id": "<another@nexus.invalid>"}]})

    app = web.Application()
    app.add_routes([web.get("/ledger", ledger), web.get("/messages", messages)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        done = await nexus("race", "--buyers", "3", "--json", "--payments-url", url)
        assert (done.code, named(done.json)) == (REFUSED, ["one capture, the winner's"]), done
        done = await nexus("race", "--buyers", "3", "--json", "--mail-url", url)
        assert (done.code, named(done.json)) == (REFUSED, ["one mail, the winner's"]), done
    finally:
        await runner.cleanup()
    shown = await client.call("GET", f"/v1/events/{done.json['event_id']}")
    assert shown.json["state"] == "EVENT_STATE_CLOSED"


async def test_what_keeps_a_race_from_being_held_is_one_line(nexus: Nexus, tmp_path: Path) -> None:
    """A ledger or a gateway that is away, a key that is none or unknown: an exit code that tells, nothing on stdout."""
    from services.cli.keys import ensure

    stranger = str(ensure(tmp_path).auth_private_pem)
    for arguments, code in [
        (("--payments-url", "http://127.0.0.1:1"), REFUSED),
        (("--gateway", "127.0.0.1:1"), UNREACHABLE),
        (("--sign-in-key", "/etc/hosts"), REFUSED),
        (("--sign-in-key", stranger), NOT_SIGNED_IN),
    ]:
        done = await nexus("race", "--buyers", "2", "--json", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), (arguments, done)
    away = await nexus("race", "--gateway", "gateway.example:50051")
    assert away.code == USED_WRONGLY
    assert "--payments-url" in away.err


async def test_a_token_of_another_key_names_it(nexus: Nexus, tmp_path: Path) -> None:
    """`nexus token --key FILE --kid KID`: the header says which; the key itself shows nowhere."""
    import jwt

    from services.cli.keys import ensure

    made = ensure(tmp_path)
    done = await nexus("token", "ada", "--role", "organizer", "--key", str(made.auth_private_pem), "--kid", "trial")
    token = done.out.strip()
    assert jwt.get_unverified_header(token)["kid"] == "trial"
    claims = jwt.decode(token, made.auth_public_pem.read_bytes(), ["EdDSA"], audience="nexus", issuer="nexus")
    assert (claims["sub"], claims["roles"]) == ("ada", ["organizer"])
    plain = json.loads((await nexus("token", "ada", "--key", str(made.auth_private_pem), "--json")).out)["token"]
    assert "kid" not in jwt.get_unverified_header(plain)
    for wrong in (tmp_path / "none", made.auth_public_pem, tmp_path / "seal.key"):
        refused = await nexus("token", "ada", "--key", str(wrong))
        assert (refused.code, refused.out, refused.err.count("\n")) == (REFUSED, "", 1), refused
        assert str(wrong) in refused.err
