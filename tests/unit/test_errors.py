"""The table of errors is whole: each class has its row, each reason is one class."""

from __future__ import annotations

import json

import grpc
import pytest

from services.common import errors, errors_page
from services.common.errors import NexusError, all_errors, by_reason

CLASSES = list(all_errors())


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_class_has_a_row(error: type[NexusError]) -> None:
    """Reason, HTTP status and a gRPC code that exists; a child may share status and code, never the reason."""
    assert error.reason.isupper()
    assert 400 <= error.http_status < 600
    assert hasattr(grpc.StatusCode, error.grpc_code)
    assert error.__name__.endswith("Error")
    assert error.__doc__
    assert f"| `{error.reason}` | {error.http_status} | `{error.grpc_code}` |" in errors_page.render()


def test_each_reason_is_one_class() -> None:
    """Two classes with one reason could not be told apart by a client."""
    assert len(by_reason()) == len(CLASSES)


def test_no_class_of_the_module_is_forgotten() -> None:
    """Whatever the module defines is found by `all_errors`."""
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, NexusError)}
    assert defined - {NexusError} == set(CLASSES)


def test_the_page_is_up_to_date() -> None:
    """docs/errors.md is what the table renders to."""
    assert errors_page.main(["--check"]) == 0


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_survives_the_way_to_its_caller(error: type[NexusError]) -> None:
    """Rebuilt from text and details it has the same class, text and details, and these are JSON."""
    made = by_reason()[error.reason].rebuild("a text", {"order_id": "o1"})
    assert type(made) is error
    assert (made.message, made.details, str(made)) == ("a text", {"order_id": "o1"}, "a text")
    assert json.loads(json.dumps(made.details)) == made.details
