import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from services.gateway.gen.nexus.v1 import common_pb2 as _common_pb2
from services.gateway.gen.nexus.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HoldState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOLD_STATE_UNSPECIFIED: _ClassVar[HoldState]
    HOLD_STATE_OPEN: _ClassVar[HoldState]
    HOLD_STATE_PAYING: _ClassVar[HoldState]
    HOLD_STATE_SOLD: _ClassVar[HoldState]
    HOLD_STATE_RELEASED: _ClassVar[HoldState]
    HOLD_STATE_EXPIRED: _ClassVar[HoldState]
HOLD_STATE_UNSPECIFIED: HoldState
HOLD_STATE_OPEN: HoldState
HOLD_STATE_PAYING: HoldState
HOLD_STATE_SOLD: HoldState
HOLD_STATE_RELEASED: HoldState
HOLD_STATE_EXPIRED: HoldState

class Hold(_message.Message):
    __slots__ = ("hold_id", "event_id", "seats", "total", "created_at", "expires_at", "state")
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    hold_id: str
    event_id: str
    seats: _containers.RepeatedCompositeFieldContainer[_common_pb2.HeldSeat]
    total: _common_pb2.Money
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    state: HoldState
    def __init__(self, hold_id: _Optional[str] = ..., event_id: _Optional[str] = ..., seats: _Optional[_Iterable[_Union[_common_pb2.HeldSeat, _Mapping]]] = ..., total: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[HoldState, str]] = ...) -> None: ...

class Ticket(_message.Message):
    __slots__ = ("event_id", "seat_id", "status", "revision", "order_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_id: str
    status: _common_pb2.SeatStatus
    revision: int
    order_id: str
    def __init__(self, event_id: _Optional[str] = ..., seat_id: _Optional[str] = ..., status: _Optional[_Union[_common_pb2.SeatStatus, str]] = ..., revision: _Optional[int] = ..., order_id: _Optional[str] = ...) -> None: ...

class HoldSeatsRequest(_message.Message):
    __slots__ = ("event_id", "seat_ids", "request_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    def __init__(self, event_id: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetHoldRequest(_message.Message):
    __slots__ = ("event_id", "hold_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    hold_id: str
    def __init__(self, event_id: _Optional[str] = ..., hold_id: _Optional[str] = ...) -> None: ...

class ExtendHoldRequest(_message.Message):
    __slots__ = ("event_id", "hold_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    hold_id: str
    def __init__(self, event_id: _Optional[str] = ..., hold_id: _Optional[str] = ...) -> None: ...

class ReleaseHoldRequest(_message.Message):
    __slots__ = ("event_id", "hold_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    hold_id: str
    def __init__(self, event_id: _Optional[str] = ..., hold_id: _Optional[str] = ...) -> None: ...

class GetTicketRequest(_message.Message):
    __slots__ = ("event_id", "seat_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_id: str
    def __init__(self, event_id: _Optional[str] = ..., seat_id: _Optional[str] = ...) -> None: ...
