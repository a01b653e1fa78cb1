import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from services.gateway.gen.nexus.v1 import checkout_pb2 as _checkout_pb2
from services.gateway.gen.nexus.v1 import common_pb2 as _common_pb2
from services.gateway.gen.nexus.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PASSED: _ClassVar[Verdict]
    VERDICT_FAILED: _ClassVar[Verdict]
    VERDICT_INCOMPLETE: _ClassVar[Verdict]

class FindingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_KIND_UNSPECIFIED: _ClassVar[FindingKind]
    FINDING_KIND_SEAT_IN_TWO_ORDERS: _ClassVar[FindingKind]
    FINDING_KIND_ORDER_WITHOUT_SEAT: _ClassVar[FindingKind]
    FINDING_KIND_SEAT_WITHOUT_ORDER: _ClassVar[FindingKind]
    FINDING_KIND_SEAT_WITHOUT_HOLD: _ClassVar[FindingKind]
    FINDING_KIND_HOLD_WITHOUT_SEAT: _ClassVar[FindingKind]
    FINDING_KIND_HOLD_NOT_ENDED: _ClassVar[FindingKind]
    FINDING_KIND_ORDER_ABANDONED: _ClassVar[FindingKind]
    FINDING_KIND_CAPTURE_WITHOUT_ORDER: _ClassVar[FindingKind]
    FINDING_KIND_ORDER_WITHOUT_CAPTURE: _ClassVar[FindingKind]
    FINDING_KIND_AMOUNT_DIFFERS: _ClassVar[FindingKind]
    FINDING_KIND_AUTHORIZATION_LEFT_OPEN: _ClassVar[FindingKind]
    FINDING_KIND_MAP_DIFFERS: _ClassVar[FindingKind]
    FINDING_KIND_COUNT_DIFFERS: _ClassVar[FindingKind]
    FINDING_KIND_SEAT_NOT_IN_LAYOUT: _ClassVar[FindingKind]
    FINDING_KIND_STATE_UNREADABLE: _ClassVar[FindingKind]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_FINE: _ClassVar[Severity]
    SEVERITY_SLOW: _ClassVar[Severity]
    SEVERITY_STUCK: _ClassVar[Severity]

class RetryAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_ACTION_UNSPECIFIED: _ClassVar[RetryAction]
    RETRY_ACTION_FINAL: _ClassVar[RetryAction]
    RETRY_ACTION_IN_PROGRESS: _ClassVar[RetryAction]
    RETRY_ACTION_RESUMED: _ClassVar[RetryAction]
    RETRY_ACTION_TAKEN_UP: _ClassVar[RetryAction]

class TimelineSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIMELINE_SOURCE_UNSPECIFIED: _ClassVar[TimelineSource]
    TIMELINE_SOURCE_HISTORY: _ClassVar[TimelineSource]
    TIMELINE_SOURCE_INVOCATION: _ClassVar[TimelineSource]
    TIMELINE_SOURCE_JOURNAL: _ClassVar[TimelineSource]
    TIMELINE_SOURCE_ERROR: _ClassVar[TimelineSource]
    TIMELINE_SOURCE_PROVIDER: _ClassVar[TimelineSource]

class EraseAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERASE_ACTION_UNSPECIFIED: _ClassVar[EraseAction]
    ERASE_ACTION_ERASED: _ClassVar[EraseAction]
    ERASE_ACTION_NOTHING_THERE: _ClassVar[EraseAction]
VERDICT_UNSPECIFIED: Verdict
VERDICT_PASSED: Verdict
VERDICT_FAILED: Verdict
VERDICT_INCOMPLETE: Verdict
FINDING_KIND_UNSPECIFIED: FindingKind
FINDING_KIND_SEAT_IN_TWO_ORDERS: FindingKind
FINDING_KIND_ORDER_WITHOUT_SEAT: FindingKind
FINDING_KIND_SEAT_WITHOUT_ORDER: FindingKind
FINDING_KIND_SEAT_WITHOUT_HOLD: FindingKind
FINDING_KIND_HOLD_WITHOUT_SEAT: FindingKind
FINDING_KIND_HOLD_NOT_ENDED: FindingKind
FINDING_KIND_ORDER_ABANDONED: FindingKind
FINDING_KIND_CAPTURE_WITHOUT_ORDER: FindingKind
FINDING_KIND_ORDER_WITHOUT_CAPTURE: FindingKind
FINDING_KIND_AMOUNT_DIFFERS: FindingKind
FINDING_KIND_AUTHORIZATION_LEFT_OPEN: FindingKind
FINDING_KIND_MAP_DIFFERS: FindingKind
FINDING_KIND_COUNT_DIFFERS: FindingKind
FINDING_KIND_SEAT_NOT_IN_LAYOUT: FindingKind
FINDING_KIND_STATE_UNREADABLE: FindingKind
SEVERITY_UNSPECIFIED: Severity
SEVERITY_FINE: Severity
SEVERITY_SLOW: Severity
SEVERITY_STUCK: Severity
RETRY_ACTION_UNSPECIFIED: RetryAction
RETRY_ACTION_FINAL: RetryAction
RETRY_ACTION_IN_PROGRESS: RetryAction
RETRY_ACTION_RESUMED: RetryAction
RETRY_ACTION_TAKEN_UP: RetryAction
TIMELINE_SOURCE_UNSPECIFIED: TimelineSource
TIMELINE_SOURCE_HISTORY: TimelineSource
TIMELINE_SOURCE_INVOCATION: TimelineSource
TIMELINE_SOURCE_JOURNAL: TimelineSource
TIMELINE_SOURCE_ERROR: TimelineSource
TIMELINE_SOURCE_PROVIDER: TimelineSource
ERASE_ACTION_UNSPECIFIED: EraseAction
ERASE_ACTION_ERASED: EraseAction
ERASE_ACTION_NOTHING_THERE: EraseAction

class Finding(_message.Message):
    __slots__ = ("kind", "text", "seat_ids", "order_ids", "hold_id", "section_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SEAT_IDS_FIELD_NUMBER: _ClassVar[int]
    ORDER_IDS_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    kind: FindingKind
    text: str
    seat_ids: _containers.RepeatedScalarFieldContainer[str]
    order_ids: _containers.RepeatedScalarFieldContainer[str]
    hold_id: str
    section_id: str
    def __init__(self, kind: _Optional[_Union[FindingKind, str]] = ..., text: _Optional[str] = ..., seat_ids: _Optional[_Iterable[str]] = ..., order_ids: _Optional[_Iterable[str]] = ..., hold_id: _Optional[str] = ..., section_id: _Optional[str] = ...) -> None: ...

class SectionCount(_message.Message):
    __slots__ = ("section_id", "capacity", "available", "held", "sold", "blocked")
    SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    SOLD_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    section_id: str
    capacity: int
    available: int
    held: int
    sold: int
    blocked: int
    def __init__(self, section_id: _Optional[str] = ..., capacity: _Optional[int] = ..., available: _Optional[int] = ..., held: _Optional[int] = ..., sold: _Optional[int] = ..., blocked: _Optional[int] = ...) -> None: ...

class MoneySum(_message.Message):
    __slots__ = ("captured", "refunded", "confirmed", "in_progress")
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    IN_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    captured: _common_pb2.Money
    refunded: _common_pb2.Money
    confirmed: _common_pb2.Money
    in_progress: _common_pb2.Money
    def __init__(self, captured: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., confirmed: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., in_progress: _Optional[_Union[_common_pb2.Money, _Mapping]] = ...) -> None: ...

class VerificationReport(_message.Message):
    __slots__ = ("event_id", "begun_at", "ended_at", "verdict", "findings", "finding_count", "gaps", "sections", "money", "order_count", "confirmed_count", "unfinished_count", "settled_count", "unsettled_count", "looks", "version")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    BEGUN_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    FINDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    ORDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNSETTLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    begun_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    verdict: Verdict
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    finding_count: int
    gaps: _containers.RepeatedScalarFieldContainer[str]
    sections: _containers.RepeatedCompositeFieldContainer[SectionCount]
    money: MoneySum
    order_count: int
    confirmed_count: int
    unfinished_count: int
    settled_count: int
    unsettled_count: int
    looks: int
    version: str
    def __init__(self, event_id: _Optional[str] = ..., begun_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., finding_count: _Optional[int] = ..., gaps: _Optional[_Iterable[str]] = ..., sections: _Optional[_Iterable[_Union[SectionCount, _Mapping]]] = ..., money: _Optional[_Union[MoneySum, _Mapping]] = ..., order_count: _Optional[int] = ..., confirmed_count: _Optional[int] = ..., unfinished_count: _Optional[int] = ..., settled_count: _Optional[int] = ..., unsettled_count: _Optional[int] = ..., looks: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class SignedReport(_message.Message):
    __slots__ = ("payload_type", "payload", "key_id", "signature")
    PAYLOAD_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload_type: str
    payload: str
    key_id: str
    signature: str
    def __init__(self, payload_type: _Optional[str] = ..., payload: _Optional[str] = ..., key_id: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class VerifyEventRequest(_message.Message):
    __slots__ = ("event_id", "settle_seconds")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SETTLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    settle_seconds: int
    def __init__(self, event_id: _Optional[str] = ..., settle_seconds: _Optional[int] = ...) -> None: ...

class VerifyEventResponse(_message.Message):
    __slots__ = ("report", "signed_report")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    SIGNED_REPORT_FIELD_NUMBER: _ClassVar[int]
    report: VerificationReport
    signed_report: SignedReport
    def __init__(self, report: _Optional[_Union[VerificationReport, _Mapping]] = ..., signed_report: _Optional[_Union[SignedReport, _Mapping]] = ...) -> None: ...

class Unfinished(_message.Message):
    __slots__ = ("severity", "service", "key", "handler", "invocation_id", "order_id", "status", "due_at", "attempts", "next_retry_at", "failed_step", "why", "advice", "blocked_by")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    FAILED_STEP_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_BY_FIELD_NUMBER: _ClassVar[int]
    severity: Severity
    service: str
    key: str
    handler: str
    invocation_id: str
    order_id: str
    status: str
    due_at: _timestamp_pb2.Timestamp
    attempts: int
    next_retry_at: _timestamp_pb2.Timestamp
    failed_step: str
    why: str
    advice: str
    blocked_by: str
    def __init__(self, severity: _Optional[_Union[Severity, str]] = ..., service: _Optional[str] = ..., key: _Optional[str] = ..., handler: _Optional[str] = ..., invocation_id: _Optional[str] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., next_retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failed_step: _Optional[str] = ..., why: _Optional[str] = ..., advice: _Optional[str] = ..., blocked_by: _Optional[str] = ...) -> None: ...

class ListUnfinishedRequest(_message.Message):
    __slots__ = ("include_fine", "page_size", "page_token")
    INCLUDE_FINE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    include_fine: bool
    page_size: int
    page_token: str
    def __init__(self, include_fine: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListUnfinishedResponse(_message.Message):
    __slots__ = ("unfinished", "next_page_token")
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    unfinished: _containers.RepeatedCompositeFieldContainer[Unfinished]
    next_page_token: str
    def __init__(self, unfinished: _Optional[_Iterable[_Union[Unfinished, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryOrderRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class RetryOrderResponse(_message.Message):
    __slots__ = ("action", "invocation_id", "order")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    action: RetryAction
    invocation_id: str
    order: _checkout_pb2.Order
    def __init__(self, action: _Optional[_Union[RetryAction, str]] = ..., invocation_id: _Optional[str] = ..., order: _Optional[_Union[_checkout_pb2.Order, _Mapping]] = ...) -> None: ...

class ResumeInvocationRequest(_message.Message):
    __slots__ = ("invocation_id",)
    INVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    invocation_id: str
    def __init__(self, invocation_id: _Optional[str] = ...) -> None: ...

class ResumeInvocationResponse(_message.Message):
    __slots__ = ("invocation",)
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    invocation: Unfinished
    def __init__(self, invocation: _Optional[_Union[Unfinished, _Mapping]] = ...) -> None: ...

class GetOrderTimelineRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("at", "source", "what", "detail", "milliseconds", "invocation_id", "is_compensation")
    AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    IS_COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    source: TimelineSource
    what: str
    detail: str
    milliseconds: int
    invocation_id: str
    is_compensation: bool
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[_Union[TimelineSource, str]] = ..., what: _Optional[str] = ..., detail: _Optional[str] = ..., milliseconds: _Optional[int] = ..., invocation_id: _Optional[str] = ..., is_compensation: _Optional[bool] = ...) -> None: ...

class OrderTimeline(_message.Message):
    __slots__ = ("order", "entries", "gaps")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    order: _checkout_pb2.Order
    entries: _containers.RepeatedCompositeFieldContainer[TimelineEntry]
    gaps: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, order: _Optional[_Union[_checkout_pb2.Order, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[TimelineEntry, _Mapping]]] = ..., gaps: _Optional[_Iterable[str]] = ...) -> None: ...

class EraseBuyerRequest(_message.Message):
    __slots__ = ("subject",)
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    def __init__(self, subject: _Optional[str] = ...) -> None: ...

class EraseBuyerResponse(_message.Message):
    __slots__ = ("action", "buyer_id", "remains")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    BUYER_ID_FIELD_NUMBER: _ClassVar[int]
    REMAINS_FIELD_NUMBER: _ClassVar[int]
    action: EraseAction
    buyer_id: str
    remains: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, action: _Optional[_Union[EraseAction, str]] = ..., buyer_id: _Optional[str] = ..., remains: _Optional[_Iterable[str]] = ...) -> None: ...
