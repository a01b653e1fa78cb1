"""What an audit found as the proto's report, and its numbers."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from typing import Any, Final

from services.ops import metrics
from services.ops.audit import Audit
from services.ops.domain import Finding, FindingKind
from services.ops.signing import PAYLOAD_TYPE, Signer

MOST_FINDINGS: Final = 1000
"""Pieces of damage that a report lists; it says how many there are."""


def report(audit: Audit) -> dict[str, Any]:
    """Give the VerificationReport as proto3 JSON."""
    told: dict[str, Any] = {
        "event_id": audit.event_id,
        "begun_at": _moment(audit.begun_at),
        "ended_at": _moment(audit.ended_at),
        "verdict": verdict(audit),
        "findings": [_finding(finding) for finding in audit.findings[:MOST_FINDINGS]],
        "finding_count": len(audit.findings),
        "gaps": list(audit.gaps),
        "sections": [
            {
                "section_id": section.section_id,
                "capacity": section.capacity,
                "available": section.available,
                "held": section.held,
                "sold": section.sold,
                "blocked": section.blocked,
            }
            for section in audit.sections
        ],
        "order_count": audit.order_count,
        "confirmed_count": audit.confirmed_count,
        "unfinished_count": audit.unfinished_count,
        "settled_count": audit.settled_count,
        "unsettled_count": len(audit.unsettled),
        "looks": audit.looks,
        "version": metadata.version("nexus"),
    }
    if audit.money is not None:
        amounts = {
            "captured": audit.money.captured,
            "refunded": audit.money.refunded,
            "confirmed": audit.money.confirmed,
            "in_progress": audit.money.in_progress,
        }
        told["money"] = {
            # int64 is a text in proto3 JSON.
            name: {"currency_code": audit.currency_code, "amount_minor": str(amount)}
            for name, amount in amounts.items()
        }
    return told


def verdict(audit: Audit) -> str:
    """Tell how an audit ended: damage counts whatever else could not be seen."""
    if audit.findings:
        return "VERDICT_FAILED"
    return "VERDICT_INCOMPLETE" if audit.gaps else "VERDICT_PASSED"


def signed(told: dict[str, Any], signer: Signer) -> dict[str, str]:
    """Give the SignedReport of a report."""
    payload = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return {
        "payload_type": PAYLOAD_TYPE,
        "payload": payload,
        "key_id": signer.key_id,
        "signature": signer.sign(payload),
    }


def count(audit: Audit) -> None:
    """Set the numbers of the event."""
    kinds = Counter(finding.kind for finding in audit.findings)
    for kind in FindingKind:
        labels = audit.event_id, kind.value.removeprefix("FINDING_KIND_").lower()
        if kinds[kind]:
            metrics.FINDINGS.labels(*labels).set(kinds[kind])
        else:
            # What is whole is not told kind by kind: nexus_audited_at_seconds tells that the event was audited.
            with suppress(KeyError):
                metrics.FINDINGS.remove(*labels)
    metrics.OVERSOLD.labels(audit.event_id).set(kinds[FindingKind.SEAT_IN_TWO_ORDERS])
    metrics.AUDITED_AT.labels(audit.event_id).set(audit.ended_at.timestamp())


def _finding(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": finding.kind.value, "text": finding.text}
    told |= {"seat_ids": list(finding.seat_ids)} if finding.seat_ids else {}
    told |= {"order_ids": list(finding.order_ids)} if finding.order_ids else {}
    told |= {"hold_id": finding.hold_id} if finding.hold_id else {}
    told |= {"section_id": finding.section_id} if finding.section_id else {}
    return told


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
