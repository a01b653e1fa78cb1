"""How what ops answers is written for people, and how signed reports are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from services.cli.errors import CallError
from services.cli.show import clock, console, money, print_table, word

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERDICTS: Final = {
    "VERDICT_PASSED": "[green]whole[/]: no damage",
    "VERDICT_FAILED": "[red]damaged[/]",
    "VERDICT_INCOMPLETE": "[yellow]incomplete[/]: no damage seen, but not everything could be looked at",
}
ACTIONS: Final = {
    "RETRY_ACTION_FINAL": "is final: nothing to do",
    "RETRY_ACTION_IN_PROGRESS": "is being worked on, without a failure: nothing to do",
    "RETRY_ACTION_RESUMED": "is tried again",
    "RETRY_ACTION_TAKEN_UP": "goes on from its record",
}
SECTIONS_SHOWN: Final = 40


def print_report(report: Mapping[str, Any]) -> None:
    """Print the report of an audit."""
    out = console()
    out.print(f"{report['event_id']}: {VERDICTS.get(report['verdict'], report['verdict'])}", soft_wrap=True)
    for finding in report.get("findings", []):
        out.print(f"  [red]{word(finding['kind'], 'FINDING_KIND_')}[/]  {finding['text']}", soft_wrap=True)
    listed, count = len(report.get("findings", [])), report.get("finding_count", 0)
    if count > listed:
        out.print(f"  and {count - listed} more", style="red")
    for gap in report.get("gaps", []):
        out.print(f"  [yellow]not seen[/]  {gap}", soft_wrap=True)
    sections: list[Mapping[str, Any]] = report.get("sections", [])
    names = ("capacity", "available", "held", "sold", "blocked")
    rows = [[section["section_id"], *(str(section.get(name, 0)) for name in names)] for section in sections]
    rows = rows[:SECTIONS_SHOWN]
    rows.append(["all", *(str(sum(section.get(name, 0) for section in sections)) for name in names)])
    print_table(("section", *(f"{name}>" for name in names)), rows)
    if len(sections) > SECTIONS_SHOWN:
        out.print(f"and {len(sections) - SECTIONS_SHOWN} more sections, counted in the last line", style="dim")
    sums: Mapping[str, Mapping[str, Any]] = report.get("money") or {}
    texts = [
        f"{name.replace('_', ' ')} {money(sums[name].get('amount_minor', 0), sums[name]['currency_code'])}"
        for name in ("captured", "refunded", "confirmed", "in_progress")
        if sums.get(name)
    ]
    if texts:
        out.print(f"money: {', '.join(texts)}")
    out.print(
        f"orders: {report.get('order_count', 0)}, confirmed {report.get('confirmed_count', 0)}, "
        f"not final {report.get('unfinished_count', 0)}; differences that settled: {report.get('settled_count', 0)}, "
        f"still changing: {report.get('unsettled_count', 0)}",
        style="dim",
        soft_wrap=True,
    )


def print_unfinished(found: Sequence[Mapping[str, Any]]) -> None:
    """Print what has not ended, with why and what to do."""
    out = console()
    if not found:
        out.print("[green]nothing is stuck[/]")
    styles = {"SEVERITY_STUCK": "red", "SEVERITY_SLOW": "yellow"}
    for one in found:
        style = styles.get(one["severity"], "green")
        name = f"order {one['order_id']}" if one["order_id"] else f"{one['service']}/{one['key']}/{one['handler']}"
        out.print(
            f"[{style}]{word(one['severity'], 'SEVERITY_').lower()}[/] {name} "
            f"[dim]{one['handler']} {one['status']} {one['invocation_id']} since {clock(one['due_at'])}[/]",
            soft_wrap=True,
        )
        out.print(f"  {one['why']}", soft_wrap=True, markup=False)
        if one["advice"]:
            out.print(f"  -> {one['advice']}", soft_wrap=True, markup=False)


def print_timeline(told: Mapping[str, Any]) -> None:
    """Print a timeline as a table; what undoes something is marked."""
    order = told["order"]
    state = word(order.get("state", ""), "ORDER_STATE_")
    console().print(f"order {order['order_id']}: {state} {order.get('reason', '')}".rstrip())
    rows = []
    for entry in told["entries"]:
        took = f"{entry['milliseconds']} ms" if "milliseconds" in entry else ""
        mark = "<-" if entry["is_compensation"] else "!!" if entry["source"] == "TIMELINE_SOURCE_ERROR" else ""
        source = word(entry["source"], "TIMELINE_SOURCE_").lower()
        rows.append(
            [f"{clock(entry['at'])}{_fraction(entry['at'])}", source, mark, entry["what"], entry["detail"], took]
        )
    print_table(("time", "by", "", "what", "how it ended", "took>"), rows)
    for gap in told.get("gaps", []):
        console().print(f"not seen: {gap}", style="yellow")


def retried(told: Mapping[str, Any]) -> str:
    """Tell what a retry of an order did."""
    order = told["order"]
    state = word(order.get("state", ""), "ORDER_STATE_")
    ended = f"; it is {state}" if state and state != "UNSPECIFIED" else ""
    return f"order {order['order_id']} {ACTIONS.get(told['action'], told['action'])}{ended}"


def resumed(told: Mapping[str, Any]) -> str:
    """Tell what a resumed invocation does now."""
    one = told.get("invocation")
    if not one or not one.get("invocation_id"):
        return "tried again; it has ended"
    return f"tried again; {one['invocation_id']} is {one['status']}: {one['why']}"


def erased(told: Mapping[str, Any]) -> list[str]:
    """Tell what an erasure did, a line each."""
    done = {
        "ERASE_ACTION_ERASED": "erased: no mail address of this buyer can be read any more",
        "ERASE_ACTION_NOTHING_THERE": "nothing there: never checked out, or erased before",
    }
    first = f"{told['buyer_id']} {done.get(told['action'], told['action'])}"
    return [first, *(f"still to do: {one}" for one in told.get("remains", []))]


def save(file: Path, signed: Mapping[str, Any]) -> None:
    """Keep a signed report. Raises CallError."""
    try:
        file.write_text(json.dumps(signed, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise CallError(f"{file} cannot be written: {error.strerror}") from None


def checked(file: Path, key: Ed25519PublicKey) -> dict[str, Any]:
    """Read a report that was kept, if it is what the key has signed. Raises CallError."""
    from services.ops.signing import is_signed

    try:
        signed = json.loads(file.read_text())
        payload, signature = str(signed["payload"]), str(signed["signature"])
        is_ours = is_signed(payload, signature, key, str(signed["payload_type"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise CallError(f"{file}: expected a signed report, as `nexus verify --save` keeps it") from None
    if not is_ours:
        raise CallError(f"{file}: not what this key has signed: changed, or signed by another key")
    report: dict[str, Any] = json.loads(payload)
    return report


def _fraction(text: str) -> str:
    """Give the milliseconds of a time of the contract."""
    digits = text.partition(".")[2].rstrip("Z")
    return f".{(digits + '000')[:3]}"
