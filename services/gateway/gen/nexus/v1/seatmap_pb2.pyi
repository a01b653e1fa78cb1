from google.api import annotations_pb2 as _annotations_pb2
from services.gateway.gen.nexus.v1 import common_pb2 as _common_pb2
from services.gateway.gen.nexus.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSeatMapRequest(_message.Message):
    __slots__ = ("event_id", "section_id", "page_size", "page_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    section_id: str
    page_size: int
    page_token: str
    def __init__(self, event_id: _Optional[str] = ..., section_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class WatchSeatMapRequest(_message.Message):
    __slots__ = ("event_id", "section_id", "resume_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    section_id: str
    resume_token: str
    def __init__(self, event_id: _Optional[str] = ..., section_id: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class MapSeat(_message.Message):
    __slots__ = ("seat_id", "category_id", "status", "x", "y")
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    seat_id: str
    category_id: str
    status: _common_pb2.SeatStatus
    x: float
    y: float
    def __init__(self, seat_id: _Optional[str] = ..., category_id: _Optional[str] = ..., status: _Optional[_Union[_common_pb2.SeatStatus, str]] = ..., x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class SectionMap(_message.Message):
    __slots__ = ("section_id", "revision", "seats")
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    section_id: str
    revision: int
    seats: _containers.RepeatedCompositeFieldContainer[MapSeat]
    def __init__(self, section_id: _Optional[str] = ..., revision: _Optional[int] = ..., seats: _Optional[_Iterable[_Union[MapSeat, _Mapping]]] = ...) -> None: ...

class SeatMap(_message.Message):
    __slots__ = ("event_id", "sections", "next_page_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sections: _containers.RepeatedCompositeFieldContainer[SectionMap]
    next_page_token: str
    def __init__(self, event_id: _Optional[str] = ..., sections: _Optional[_Iterable[_Union[SectionMap, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SeatChange(_message.Message):
    __slots__ = ("section_id", "revision", "seat_id", "status")
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    section_id: str
    revision: int
    seat_id: str
    status: _common_pb2.SeatStatus
    def __init__(self, section_id: _Optional[str] = ..., revision: _Optional[int] = ..., seat_id: _Optional[str] = ..., status: _Optional[_Union[_common_pb2.SeatStatus, str]] = ...) -> None: ...

class WatchSeatMapResponse(_message.Message):
    __slots__ = ("resume_token", "reset", "sections", "changes", "heartbeat")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    reset: bool
    sections: _containers.RepeatedCompositeFieldContainer[SectionMap]
    changes: _containers.RepeatedCompositeFieldContainer[SeatChange]
    heartbeat: bool
    def __init__(self, resume_token: _Optional[str] = ..., reset: _Optional[bool] = ..., sections: _Optional[_Iterable[_Union[SectionMap, _Mapping]]] = ..., changes: _Optional[_Iterable[_Union[SeatChange, _Mapping]]] = ..., heartbeat: _Optional[bool] = ...) -> None: ...
