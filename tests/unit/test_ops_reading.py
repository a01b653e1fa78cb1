"""How ops reads: pages without gaps or repeats, ids that stay texts, failures that are numbers, reports that prove."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.common.errors import UnavailableError
from services.ops import metrics
from services.ops.rounds import Rounds
from services.ops.signing import ReportKeyError, Signer, _encoded, is_signed, key_id, public_key
from services.ops.statetable import StateRow, StateTable, UnreadableError, decode
from services.ops.tables import Tables, literal
from services.ops.watch import Watch, moment
from services.ticket.domain import Ticket


class FakeTables(Tables):
    """A table `state` in memory, which understands just the conditions that paging makes."""

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.rows = sorted(rows)
        self.asked: list[str] = []

    async def query(self, sql: str, row_type: type[Any]) -> list[Any]:
        self.asked.append(sql)
        after = re.search(r"service_key > '(.*?)' OR \(service_key = '.*?' AND key > '(.*?)'\)", sql)
        rest = [row for row in self.rows if after is None or row > (after[1], after[2])]
        limit = re.search(r"LIMIT (\d+)", sql)
        rest = rest[: int(limit[1])] if limit else rest
        return [row_type(service_key=key, key=name, value_utf8="{}") for key, name in rest]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 11])
async def test_pages_give_every_row_once(count: int) -> None:
    """Whatever the size of the last page; several values of one object may stand on two pages."""
    rows = [(f"e:{number // 3}", f"hold:{number}") for number in range(count)]
    tables = FakeTables(rows)
    found = [row async for row in StateTable(tables).under("Buyer", "e", "key LIKE 'hold:%'", page_rows=5)]
    assert [(row.service_key, row.key) for row in found] == sorted(rows)
    assert len(tables.asked) == count // 5 + 1


async def test_an_event_is_read_by_its_range_and_not_by_a_pattern() -> None:
    """In a pattern the underscore of an id would stand for any character."""
    tables = FakeTables([])
    async for _ in StateTable(tables).under("Ticket", "a_b", "key = 'ticket'"):
        pass
    assert "service_key >= 'a_b:' AND service_key < 'a_b;'" in tables.asked[0]


def test_no_id_becomes_sql() -> None:
    """A quote in a text of the state stays in its string."""
    assert literal("o'; DROP") == "'o''; DROP'"


def test_a_value_that_is_no_ticket_is_unreadable_and_one_of_tomorrow_is_not_judged() -> None:
    """Broken JSON, another type, no text at all; and a schema that this code does not know."""
    assert decode(StateRow("e:s", "ticket", '{"revision": 3}'), Ticket).revision == 3
    for text in ("", "{", '{"status": 7}', "[]", "null"):
        with pytest.raises(UnreadableError):
            decode(StateRow("e:s", "ticket", text), Ticket)
    with pytest.raises(UnavailableError, match="ops must be as new"):
        decode(StateRow("e:s", "ticket", '{"schema_version": 99}'), Ticket)


def test_times_of_restate_are_utc() -> None:
    """With and without a zone, to the nanosecond."""
    assert moment("2026-11-21T11:36:34.177834213") == moment("2026-11-21T11:36:34.177834Z")


async def test_a_query_that_fails_is_a_number_and_not_the_end() -> None:
    """Of whatever kind the failure is."""

    def count(outcome: str) -> float:
        return metrics.QUERIES.labels("a-test", outcome)._value.get()

    watch = Watch(FakeTables([]), 1)
    for number, error in enumerate((UnavailableError("away"), msgspec.ValidationError("strange")), 1):

        async def fails(error: Exception = error) -> None:
            raise error

        await watch.look("a-test", fails)
        assert (count("failed"), count("answered")) == (number, 0)

    async def works() -> None:
        return

    await watch.look("a-test", works)
    assert (count("failed"), count("answered")) == (2, 1)


async def test_a_round_audits_every_event_though_one_cannot_be() -> None:
    """A failure is a number and a warning, and the next event has its turn."""
    asked: list[str] = []

    async def audit(event_id: str) -> Any:
        asked.append(event_id)
        if event_id == "b":
            raise UnavailableError("away")
        return SimpleNamespace(gaps=("money",) if event_id == "c" else (), findings=())

    def count(outcome: str) -> float:
        return metrics.QUERIES.labels("audit", outcome)._value.get()

    before = count("failed"), count("answered")
    await Rounds(FakeTables([(name, "terms") for name in "abc"]), audit, 1).round()
    assert asked == ["a", "b", "c"]
    assert (count("failed") - before[0], count("answered") - before[1]) == (2, 1)


def test_a_gauge_forgets_what_is_gone() -> None:
    """A status that no invocation has any more is not told for ever."""
    metrics.replace(metrics.OVERDUE, {("A",): 1, ("B",): 2})
    metrics.replace(metrics.OVERDUE, {("B",): 3})
    told = {tuple(it.labels.values()): it.value for family in metrics.OVERDUE.collect() for it in family.samples}
    assert told == {("B",): 3}
    metrics.replace(metrics.OVERDUE, {})


def _pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_a_signature_is_of_this_text_by_this_key(tmp_path: Path) -> None:
    """Another text, another type, another key, and what is no signature are refused."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    file = tmp_path / "report.pem"
    file.write_bytes(_pem(key))
    signer = Signer.load(str(file))
    signature = signer.sign('{"a":1}')
    assert is_signed('{"a":1}', signature, key.public_key())
    assert not is_signed('{"a":2}', signature, key.public_key())
    assert not is_signed('{"a":1}', signature, key.public_key(), "text/plain")
    of_another_kind = base64.b64encode(key.sign(_encoded("text/plain", '{"a":1}'))).decode()
    assert not is_signed('{"a":1}', of_another_kind, key.public_key(), "text/plain")
    assert not is_signed('{"a":1}', signature, other.public_key())
    assert not is_signed('{"a":1}', "not base64!", key.public_key())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert key_id(public_key(public)) == key_id(public_key(file.read_bytes())) == signer.key_id


def test_only_an_ed25519_key_signs_reports(tmp_path: Path) -> None:
    """A missing file, no PEM, a key of another kind: one sentence that names the setting, and nothing of the key."""
    rsa = tmp_path / "rsa.pem"
    rsa.write_bytes(_pem(generate_private_key(65537, 2048)))
    text = tmp_path / "text.pem"
    text.write_text("hunter2")
    for path in (tmp_path / "missing.pem", rsa, text):
        with pytest.raises(ReportKeyError, match="NEXUS_REPORT_KEY_FILE: expected the path of an Ed25519") as caught:
            Signer.load(str(path))
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ReportKeyError):
        public_key(b"hunter2")
