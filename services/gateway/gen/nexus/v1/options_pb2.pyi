from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Access(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_UNSPECIFIED: _ClassVar[Access]
    ACCESS_PUBLIC: _ClassVar[Access]
    ACCESS_SIGNED_IN: _ClassVar[Access]
    ACCESS_ORGANIZER: _ClassVar[Access]
    ACCESS_ADMIN: _ClassVar[Access]

class Idempotency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IDEMPOTENCY_UNSPECIFIED: _ClassVar[Idempotency]
    IDEMPOTENCY_REQUEST_ID: _ClassVar[Idempotency]
    IDEMPOTENCY_KEY: _ClassVar[Idempotency]

class RouteKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTE_KIND_UNSPECIFIED: _ClassVar[RouteKind]
    ROUTE_KIND_POLL: _ClassVar[RouteKind]
    ROUTE_KIND_COMPOSED: _ClassVar[RouteKind]
ACCESS_UNSPECIFIED: Access
ACCESS_PUBLIC: Access
ACCESS_SIGNED_IN: Access
ACCESS_ORGANIZER: Access
ACCESS_ADMIN: Access
IDEMPOTENCY_UNSPECIFIED: Idempotency
IDEMPOTENCY_REQUEST_ID: Idempotency
IDEMPOTENCY_KEY: Idempotency
ROUTE_KIND_UNSPECIFIED: RouteKind
ROUTE_KIND_POLL: RouteKind
ROUTE_KIND_COMPOSED: RouteKind
ROUTE_FIELD_NUMBER: _ClassVar[int]
route: _descriptor.FieldDescriptor
RULES_FIELD_NUMBER: _ClassVar[int]
rules: _descriptor.FieldDescriptor
MESSAGE_RULES_FIELD_NUMBER: _ClassVar[int]
message_rules: _descriptor.FieldDescriptor

class Route(_message.Message):
    __slots__ = ("service", "key", "handler", "access", "idempotency", "made_id", "made_id_header", "async_field", "peek_handler", "kind", "final_field", "final_values")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_FIELD_NUMBER: _ClassVar[int]
    MADE_ID_FIELD_NUMBER: _ClassVar[int]
    MADE_ID_HEADER_FIELD_NUMBER: _ClassVar[int]
    ASYNC_FIELD_FIELD_NUMBER: _ClassVar[int]
    PEEK_HANDLER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_FIELD_NUMBER: _ClassVar[int]
    FINAL_VALUES_FIELD_NUMBER: _ClassVar[int]
    service: str
    key: str
    handler: str
    access: Access
    idempotency: Idempotency
    made_id: str
    made_id_header: str
    async_field: str
    peek_handler: str
    kind: RouteKind
    final_field: str
    final_values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service: _Optional[str] = ..., key: _Optional[str] = ..., handler: _Optional[str] = ..., access: _Optional[_Union[Access, str]] = ..., idempotency: _Optional[_Union[Idempotency, str]] = ..., made_id: _Optional[str] = ..., made_id_header: _Optional[str] = ..., async_field: _Optional[str] = ..., peek_handler: _Optional[str] = ..., kind: _Optional[_Union[RouteKind, str]] = ..., final_field: _Optional[str] = ..., final_values: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldRules(_message.Message):
    __slots__ = ("required", "id", "max_len", "max_bytes", "min", "max", "has_range", "max_items", "unique", "pattern", "pattern_means", "sealed", "not_in_fingerprint", "output_only", "example")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_LEN_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    HAS_RANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    PATTERN_MEANS_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    NOT_IN_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_ONLY_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    required: bool
    id: bool
    max_len: int
    max_bytes: int
    min: int
    max: int
    has_range: bool
    max_items: int
    unique: bool
    pattern: str
    pattern_means: str
    sealed: bool
    not_in_fingerprint: bool
    output_only: bool
    example: str
    def __init__(self, required: _Optional[bool] = ..., id: _Optional[bool] = ..., max_len: _Optional[int] = ..., max_bytes: _Optional[int] = ..., min: _Optional[int] = ..., max: _Optional[int] = ..., has_range: _Optional[bool] = ..., max_items: _Optional[int] = ..., unique: _Optional[bool] = ..., pattern: _Optional[str] = ..., pattern_means: _Optional[str] = ..., sealed: _Optional[bool] = ..., not_in_fingerprint: _Optional[bool] = ..., output_only: _Optional[bool] = ..., example: _Optional[str] = ...) -> None: ...

class MessageRules(_message.Message):
    __slots__ = ("exactly_one_of", "max_bytes")
    EXACTLY_ONE_OF_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    exactly_one_of: _containers.RepeatedScalarFieldContainer[str]
    max_bytes: int
    def __init__(self, exactly_one_of: _Optional[_Iterable[str]] = ..., max_bytes: _Optional[int] = ...) -> None: ...
