from services.gateway.gen.nexus.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SeatStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEAT_STATUS_UNSPECIFIED: _ClassVar[SeatStatus]
    SEAT_STATUS_AVAILABLE: _ClassVar[SeatStatus]
    SEAT_STATUS_HELD: _ClassVar[SeatStatus]
    SEAT_STATUS_SOLD: _ClassVar[SeatStatus]
    SEAT_STATUS_BLOCKED: _ClassVar[SeatStatus]
SEAT_STATUS_UNSPECIFIED: SeatStatus
SEAT_STATUS_AVAILABLE: SeatStatus
SEAT_STATUS_HELD: SeatStatus
SEAT_STATUS_SOLD: SeatStatus
SEAT_STATUS_BLOCKED: SeatStatus

class Money(_message.Message):
    __slots__ = ("currency_code", "amount_minor")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    amount_minor: int
    def __init__(self, currency_code: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class HeldSeat(_message.Message):
    __slots__ = ("seat_id", "category_id", "price", "section_id")
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    seat_id: str
    category_id: str
    price: Money
    section_id: str
    def __init__(self, seat_id: _Optional[str] = ..., category_id: _Optional[str] = ..., price: _Optional[_Union[Money, _Mapping]] = ..., section_id: _Optional[str] = ...) -> None: ...
