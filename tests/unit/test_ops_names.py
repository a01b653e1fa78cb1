"""What ops says, it says in the contract's own words: JSON needs no mapping."""

from __future__ import annotations

from enum import StrEnum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from services.gateway.gen.nexus.v1 import ops_pb2
from services.ops.domain import FindingKind
from services.ops.domain_timeline import Source
from services.ops.domain_unfinished import Action, Severity


@pytest.mark.parametrize(
    ("ours", "contract"),
    [
        (FindingKind, ops_pb2.FindingKind),
        (Severity, ops_pb2.Severity),
        (Action, ops_pb2.RetryAction),
        (Source, ops_pb2.TimelineSource),
    ],
)
def test_every_kind_has_its_name_in_the_contract(ours: type[StrEnum], contract: EnumTypeWrapper) -> None:
    """A name that the proto lacks would be an error at the door, one that we lack could never be told."""
    assert {one.value for one in ours} == {
        name for name in contract.DESCRIPTOR.values_by_name if not name.endswith("_UNSPECIFIED")
    }
    for one in ours:
        assert one.value.endswith(f"_{one.name}")
