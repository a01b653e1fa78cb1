"""One stack of real processes for all integration tests, and the clients that tests ask for by name."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator

import pytest

from services.cli.local import LocalStack
from tests.hostile.target import attacked_stack, target  # noqa: F401  fixtures for the tests of hostile input
from tests.integration.behind import behind, scratch  # noqa: F401  fixtures for the tests of holds and maps
from tests.integration.booking import open_hall  # noqa: F401  a fixture for the tests of holds and maps
from tests.integration.checkout_fixtures import shop  # noqa: F401  a fixture for the tests of orders
from tests.integration.client import Client, NewEvent, Token, new_event, running, sign
from tests.integration.logscan import leaks_under
from tests.integration.operating import operated_stack, operator  # noqa: F401  fixtures for the tests of ops
from tests.integration.second_gateway import second_gateway  # noqa: F401  a fixture for tests with two gateways
from tests.integration.world import world  # noqa: F401  a fixture for the tests of bad input and ownership


@pytest.fixture(scope="session", autouse=True)
def clean_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """See at the very end, when all stacks have stopped, that no log of theirs holds a token, an address or a card."""
    yield
    found = leaks_under(tmp_path_factory.getbasetemp())
    assert not found, f"{len(found)} secrets in logs, the first of them: {found[:10]}"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Everything that `nexus up` starts, on free ports and in a folder of its own; registered and ready."""
    with running(tmp_path_factory.mktemp("nexus")) as made:
        yield made


@pytest.fixture(scope="session")
async def client(stack: LocalStack) -> AsyncIterator[Client]:
    made = Client(stack)
    yield made
    await made.session.close()


@pytest.fixture(scope="session")
def http(client: Client) -> Client:
    """The client's other name: `await http.call(method, path, token, body, headers)`."""
    return client


@pytest.fixture(scope="session")
def token(stack: LocalStack) -> Token:
    """`token(subject, role=None, hours=1)`."""
    return functools.partial(sign, stack)


@pytest.fixture(scope="session", name="new_event")
def new_event_fixture(client: Client) -> NewEvent:
    """`await new_event(rows=, seats_per_row=, price=, is_published=, **fields)` -> (event_id, organizer's token)."""
    return functools.partial(new_event, client)
