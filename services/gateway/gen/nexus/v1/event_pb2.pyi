import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from services.gateway.gen.nexus.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_STATE_UNSPECIFIED: _ClassVar[EventState]
    EVENT_STATE_DRAFT: _ClassVar[EventState]
    EVENT_STATE_ON_SALE: _ClassVar[EventState]
    EVENT_STATE_PAUSED: _ClassVar[EventState]
    EVENT_STATE_CLOSED: _ClassVar[EventState]

class EventView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_VIEW_UNSPECIFIED: _ClassVar[EventView]
    EVENT_VIEW_BASIC: _ClassVar[EventView]
    EVENT_VIEW_FULL: _ClassVar[EventView]
EVENT_STATE_UNSPECIFIED: EventState
EVENT_STATE_DRAFT: EventState
EVENT_STATE_ON_SALE: EventState
EVENT_STATE_PAUSED: EventState
EVENT_STATE_CLOSED: EventState
EVENT_VIEW_UNSPECIFIED: EventView
EVENT_VIEW_BASIC: EventView
EVENT_VIEW_FULL: EventView

class Event(_message.Message):
    __slots__ = ("event_id", "title", "venue", "starts_at", "sale_starts_at", "sale_ends_at", "currency_code", "hold_seconds", "max_seats_per_buyer", "price_categories", "sections", "owner", "seat_count", "state", "next_page_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    SALE_STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    SALE_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    HOLD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_SEATS_PER_BUYER_FIELD_NUMBER: _ClassVar[int]
    PRICE_CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    SEAT_COUNT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    title: str
    venue: str
    starts_at: _timestamp_pb2.Timestamp
    sale_starts_at: _timestamp_pb2.Timestamp
    sale_ends_at: _timestamp_pb2.Timestamp
    currency_code: str
    hold_seconds: int
    max_seats_per_buyer: int
    price_categories: _containers.RepeatedCompositeFieldContainer[PriceCategory]
    sections: _containers.RepeatedCompositeFieldContainer[Section]
    owner: str
    seat_count: int
    state: EventState
    next_page_token: str
    def __init__(self, event_id: _Optional[str] = ..., title: _Optional[str] = ..., venue: _Optional[str] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sale_starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sale_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., currency_code: _Optional[str] = ..., hold_seconds: _Optional[int] = ..., max_seats_per_buyer: _Optional[int] = ..., price_categories: _Optional[_Iterable[_Union[PriceCategory, _Mapping]]] = ..., sections: _Optional[_Iterable[_Union[Section, _Mapping]]] = ..., owner: _Optional[str] = ..., seat_count: _Optional[int] = ..., state: _Optional[_Union[EventState, str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PriceCategory(_message.Message):
    __slots__ = ("category_id", "title", "amount_minor")
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    category_id: str
    title: str
    amount_minor: int
    def __init__(self, category_id: _Optional[str] = ..., title: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class Section(_message.Message):
    __slots__ = ("section_id", "title", "rows", "row_count", "seats_per_row", "category_id", "seat_count")
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEATS_PER_ROW_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_COUNT_FIELD_NUMBER: _ClassVar[int]
    section_id: str
    title: str
    rows: _containers.RepeatedCompositeFieldContainer[Row]
    row_count: int
    seats_per_row: int
    category_id: str
    seat_count: int
    def __init__(self, section_id: _Optional[str] = ..., title: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[Row, _Mapping]]] = ..., row_count: _Optional[int] = ..., seats_per_row: _Optional[int] = ..., category_id: _Optional[str] = ..., seat_count: _Optional[int] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("row_id", "seats")
    ROW_ID_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    row_id: str
    seats: _containers.RepeatedCompositeFieldContainer[Seat]
    def __init__(self, row_id: _Optional[str] = ..., seats: _Optional[_Iterable[_Union[Seat, _Mapping]]] = ...) -> None: ...

class Seat(_message.Message):
    __slots__ = ("seat_id", "category_id", "x", "y")
    SEAT_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    seat_id: str
    category_id: str
    x: float
    y: float
    def __init__(self, seat_id: _Optional[str] = ..., category_id: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("at", "actor", "action", "reason", "subjects")
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    actor: str
    action: str
    reason: str
    subjects: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., reason: _Optional[str] = ..., subjects: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateEventRequest(_message.Message):
    __slots__ = ("event", "request_id")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    event: Event
    request_id: str
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateEventRequest(_message.Message):
    __slots__ = ("event", "update_mask", "reason")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event: Event
    update_mask: _field_mask_pb2.FieldMask
    reason: str
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class GetEventRequest(_message.Message):
    __slots__ = ("event_id", "view", "section_id", "page_size", "page_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    view: EventView
    section_id: str
    page_size: int
    page_token: str
    def __init__(self, event_id: _Optional[str] = ..., view: _Optional[_Union[EventView, str]] = ..., section_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PublishEventRequest(_message.Message):
    __slots__ = ("event_id", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PauseSalesRequest(_message.Message):
    __slots__ = ("event_id", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResumeSalesRequest(_message.Message):
    __slots__ = ("event_id", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CloseSalesRequest(_message.Message):
    __slots__ = ("event_id", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class BlockSeatsRequest(_message.Message):
    __slots__ = ("event_id", "seat_ids", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class BlockSeatsResponse(_message.Message):
    __slots__ = ("event_id", "seat_ids")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event_id: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class UnblockSeatsRequest(_message.Message):
    __slots__ = ("event_id", "seat_ids", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class UnblockSeatsResponse(_message.Message):
    __slots__ = ("event_id", "seat_ids")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event_id: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RebuildSeatMapRequest(_message.Message):
    __slots__ = ("event_id", "reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: str
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RebuildSeatMapResponse(_message.Message):
    __slots__ = ("event_id", "seat_count")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEAT_COUNT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seat_count: int
    def __init__(self, event_id: _Optional[str] = ..., seat_count: _Optional[int] = ...) -> None: ...

class ListAuditEntriesRequest(_message.Message):
    __slots__ = ("event_id", "page_size", "page_token")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    page_size: int
    page_token: str
    def __init__(self, event_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAuditEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
