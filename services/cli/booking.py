"""`nexus hold`, `release`, `buy`, `orders`, `order`: what a buyer does, through the gRPC door.

`app` holds these and what organizers do (`eventcommands.py`, `mapcommand.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from services.cli import eventcommands, mapcommand
from services.cli.connection import AsJson, Connection, Seconds, asks_gateway, connected
from services.cli.show import clock, console, moment, money, print_json, print_table, remaining, seats_of, styled, word

buying = typer.Typer()
# In the order of `nexus --help`.
app = typer.Typer()
app.add_typer(eventcommands.app, name="events", rich_help_panel="Events")
app.add_typer(mapcommand.app)
app.add_typer(buying)

BUYING: Final = "Buying"
CHECKOUT_SECONDS: Final = 30.0
ORDER_STYLES: Final = {"CONFIRMED": "green", "PENDING": "yellow", "AUTHORIZING": "yellow"}
EventId = Annotated[str, typer.Argument(metavar="EVENT", help="Id of the event, for example demo.")]


@buying.command(rich_help_panel=BUYING)
@asks_gateway()
def hold(
    event: EventId,
    seats: Annotated[list[str], typer.Argument(metavar="SEAT", help="Ids of the seats, for example A-1-1.")],
    request_id: Annotated[
        str, typer.Option("--request-id", help="Repeating the command with the same one gives the same hold.")
    ] = "",
    *,
    to: Connection,
    seconds: Seconds = 30,
    as_json: AsJson = False,
) -> None:
    """Hold seats for a while, all of them or none."""
    with connected(to, seconds=seconds) as door:
        made = door.call("HoldSeats", {"event_id": event, "seat_ids": seats, "request_id": request_id})
    if as_json:
        print_json(made)
        return
    out = console()
    out.print(f"[green]held[/] {seats_of(made['seats'])} for {_total(made)}, {remaining(made['expires_at'])} left")
    _print_seats(made)
    who = f" --as {to.subject}" if to.subject else ""
    out.print(f"buy:     nexus buy {event} --hold {made['hold_id']} --email YOU@HOST{who}", style="dim", soft_wrap=True)
    out.print(f"release: nexus release {event} {made['hold_id']}{who}", style="dim", soft_wrap=True)


@buying.command(rich_help_panel=BUYING)
@asks_gateway()
def release(
    event: EventId,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold.")],
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """Give the seats of a hold back."""
    with connected(to) as door:
        released = door.call("ReleaseHold", {"event_id": event, "hold_id": hold_id})
    if as_json:
        print_json(released)
    else:
        console().print(f"[green]released[/] {seats_of(released['seats'])}")


@buying.command(rich_help_panel=BUYING)
@asks_gateway()
def buy(  # noqa: PLR0913  its options are its arguments
    event: EventId,
    email: Annotated[str, typer.Option("--email", help="Where the tickets are mailed to.")],
    seats: Annotated[list[str] | None, typer.Argument(metavar="SEAT", help="Seats to hold and pay at once.")] = None,
    hold_id: Annotated[str, typer.Option("--hold", help="The hold to pay, in place of seats.")] = "",
    card: Annotated[
        str,
        typer.Option("--card", help="The payment provider's token; the simulator knows card_success, card_decline ..."),
    ] = "card_success",
    order_id: Annotated[str, typer.Option("--order", help="Id of the order; repeating it never buys twice.")] = "",
    *,
    to: Connection,
    seconds: Seconds = CHECKOUT_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Buy seats, or the seats of a hold; answers when the order is final.

    Exit code 5 means that no answer came in time: the order goes on, `nexus order` tells what became of it.
    """
    if bool(seats) == bool(hold_id):
        raise typer.BadParameter("give seats, or --hold HOLD, and not both")
    request = {
        "event_id": event,
        "payment_method": card,
        "email": email,
        "order_id": order_id,
        **({"hold_id": hold_id} if hold_id else {"seat_ids": seats}),
    }
    with connected(to, seconds=seconds) as door:
        bought = door.call("Checkout", request)
    if as_json:
        print_json(bought)
    else:
        _print_order(bought)


@buying.command(rich_help_panel=BUYING)
@asks_gateway()
def orders(
    event: EventId,
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """List your orders of an event, newest first."""
    with connected(to) as door:
        found = list(door.pages("ListOrders", {"event_id": event, "page_size": 50}, "orders"))
    if as_json:
        print_json({"orders": found})
        return
    if not found:
        console().print(f"no orders of {event}", style="dim")
        return
    rows = [
        (
            it["order_id"],
            styled(it["state"], "ORDER_STATE_", ORDER_STYLES, "red"),
            seats_of(it["seats"]),
            _total(it),
            moment(it.get("created_at", "")),
            it["reason"],
        )
        for it in found
    ]
    print_table(("order", "state", "seats", "total>", "created", "reason"), rows)


@buying.command(rich_help_panel=BUYING)
@asks_gateway()
def order(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="Id of the order.")],
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """Show an order of yours: its seats, its payment, each step with its time."""
    with connected(to) as door:
        found = door.call("GetOrder", {"order_id": order_id})
    if as_json:
        print_json(found)
        return
    _print_order(found)
    steps = found["history"]
    if steps:
        print_table(("at", "step"), [(clock(step["at"]), step["step"].replace("_", " ")) for step in steps])


def _total(found: dict[str, Any]) -> str:
    total = found.get("total")
    return money(total["amount_minor"], total["currency_code"]) if total else ""


def _print_seats(found: dict[str, Any]) -> None:
    rows = [
        (
            it["seat_id"],
            it["section_id"],
            it["category_id"],
            money(it["price"]["amount_minor"], it["price"]["currency_code"]),
        )
        for it in found["seats"]
    ]
    if rows:
        print_table(("seat", "section", "category", "price>"), rows)


def _print_order(found: dict[str, Any]) -> None:
    payment = found.get("payment", {})
    head = styled(found["state"], "ORDER_STATE_", ORDER_STYLES, "red")
    head.append(f" order {found['order_id']} of {found['event_id']}", "none")
    if found["reason"]:
        head.append(f": {found['reason']}", "red")
    console().print(head, soft_wrap=True)
    _print_seats(found)
    if payment:
        reference = f", reference {payment['provider_reference']}" if payment["provider_reference"] else ""
        state = word(payment["state"], "PAYMENT_STATE_")
        console().print(f"total {_total(found)}, payment {state}{reference}", soft_wrap=True)
