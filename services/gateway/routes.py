"""Reads the routing table from the proto's options: one Route for each RPC, checked when the process starts.

Nothing here names an RPC: a service that is added to the proto is served without a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message

from services.common.ids import is_id
from services.gateway.gen.nexus.v1 import checkout_pb2, event_pb2, options_pb2, seatmap_pb2, ticket_pb2
from services.gateway.paths import PathTemplate

CONTRACT: tuple[FileDescriptor, ...] = (
    event_pb2.DESCRIPTOR,
    seatmap_pb2.DESCRIPTOR,
    ticket_pb2.DESCRIPTOR,
    checkout_pb2.DESCRIPTOR,
)
"""The files whose services the gateway serves."""

CALLER = "caller"
"""Name that stands for the caller's hashed subject in a key template."""

DEFAULT_MAX_BYTES = 64 * 1024
"""Greatest request where message_rules say nothing. Source: DESIGN.md, "Limits"."""

MAX_DEPTH: Final = 4
"""How deep sealed fields and the like are looked for: messages may contain themselves."""

_BRACED = re.compile(r"\{([a-z][a-z0-9_.]*)\}")


class RouteError(Exception):
    """The proto's options do not make a routing table; names the RPC and what is wrong."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field of the request or of a message inside it, for example `event.event_id`."""

    text: str
    parents: tuple[str, ...]
    name: str
    field: FieldDescriptor

    def owner(self, message: Message) -> Message:
        """Give the message that holds the field; makes it present only when written to."""
        for parent in self.parents:
            message = getattr(message, parent)
        return message

    def get(self, message: Message) -> str:
        """Read the field, a string."""
        value: str = getattr(self.owner(message), self.name)
        return value

    def set(self, message: Message, value: str) -> None:
        """Write the field, a string."""
        setattr(self.owner(message), self.name, value)


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """The object key of a route: literals, fields and the caller, joined by colons."""

    text: str
    parts: tuple[str | FieldPath, ...]

    def key(self, request: Message, subject: str) -> str:
        """Build the key of a validated request. `subject`: the caller's hashed subject."""
        return ":".join(
            part.get(request) if isinstance(part, FieldPath) else subject if part == "{caller}" else part
            for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class Route:
    """One RPC: how clients reach it and where it goes. `name` is `/package.Service/Method`.

    `body`: the request's field that is the HTTP body, `*` for all of it, empty for none.
    """

    name: str
    method: MethodDescriptor
    request_class: type[Message]
    response_class: type[Message]
    is_stream: bool
    http_method: str
    path: PathTemplate
    path_fields: tuple[FieldPath, ...]
    body: str
    service: str
    key: KeyTemplate
    handler: str
    access: options_pb2.Access
    idempotency: options_pb2.Idempotency
    kind: options_pb2.RouteKind
    made_id: FieldPath | None
    made_id_header: str
    request_id: FieldPath | None
    async_field: str
    peek_handler: str
    final_field: str
    final_values: frozenset[int]
    sealed: tuple[FieldPath, ...]
    not_in_fingerprint: tuple[FieldPath, ...]
    max_bytes: int

    @property
    def is_public(self) -> bool:
        """Whether it may be called without sign-in."""
        return self.access == options_pb2.ACCESS_PUBLIC


def load_routes(files: Iterable[FileDescriptor] = CONTRACT) -> dict[str, Route]:
    """Make the route of every RPC in these files, by `/package.Service/Method`.

    Raises RouteError for an RPC without route, HTTP form or access, for a template with a field that
    does not exist or is no id, and for two RPCs of the same HTTP form.
    """
    routes: dict[str, Route] = {}
    shapes: dict[tuple[str, str, tuple[str | None, ...]], str] = {}
    for file in files:
        for service in file.services_by_name.values():
            for method in service.methods:
                try:
                    route = _route(method)
                except (ValueError, KeyError) as error:
                    raise RouteError(f"{method.full_name}: {error.args[0]}") from error
                shape = (route.http_method, route.path.verb, route.path.segments)
                if shape in shapes:
                    raise RouteError(f"{method.full_name}: {shapes[shape]} has the same HTTP form")
                shapes[shape] = method.full_name
                routes[route.name] = route
    return routes


def _route(method: MethodDescriptor) -> Route:
    options = method.GetOptions()
    option: options_pb2.Route = option_of(options, options_pb2.route)
    if not option.service or not option.handler or not option.key:
        raise ValueError("needs (nexus.v1.route) with service, key and handler")
    if not option.access:
        raise ValueError("(nexus.v1.route) must say access")
    request, response = method.input_type, method.output_type
    http = option_of(options, annotations_pb2.http)
    http_method = http.WhichOneof("pattern") or ""
    if http_method not in {"get", "post", "put", "patch", "delete"}:
        raise ValueError("needs (google.api.http) with get, post, put, patch or delete")
    path = PathTemplate.parse(getattr(http, http_method))
    if http.body and http.body != "*" and field_path(request, http.body).field.message_type is None:
        raise ValueError(f"HTTP body {http.body!r} is no message")
    _check_kind(method, option)
    rules: options_pb2.MessageRules = option_of(request.GetOptions(), options_pb2.message_rules)
    return Route(
        name=f"/{method.containing_service.full_name}/{method.name}",
        method=method,
        request_class=message_factory.GetMessageClass(request),
        response_class=message_factory.GetMessageClass(response),
        is_stream=method.server_streaming,
        http_method=http_method.upper(),
        path=path,
        path_fields=tuple(_text_field(request, name) for name in path.fields),
        body=http.body,
        service=option.service,
        key=_key_template(request, option.key),
        handler=option.handler,
        access=option.access,
        idempotency=option.idempotency,
        kind=option.kind,
        made_id=_id_field(request, option.made_id) if option.made_id else None,
        made_id_header=option.made_id_header,
        request_id=_text_field(request, "request_id") if "request_id" in request.fields_by_name else None,
        async_field=field_path(request, option.async_field).name if option.async_field else "",
        peek_handler=option.peek_handler,
        final_field=option.final_field,
        final_values=_final_values(response, option),
        sealed=tuple(path for path, rule in _ruled_fields(request) if rule.sealed),
        not_in_fingerprint=tuple(path for path, rule in _ruled_fields(request) if rule.not_in_fingerprint),
        max_bytes=rules.max_bytes or DEFAULT_MAX_BYTES,
    )


def _check_kind(method: MethodDescriptor, option: options_pb2.Route) -> None:
    if method.client_streaming:
        raise ValueError("client streams are not served")
    is_poll = option.kind == options_pb2.ROUTE_KIND_POLL
    if option.kind != options_pb2.ROUTE_KIND_COMPOSED and is_poll != method.server_streaming:
        raise ValueError("a server stream needs kind POLL or COMPOSED, and only a server stream has kind POLL")
    if option.async_field and not (option.peek_handler and option.made_id):
        raise ValueError("async_field needs made_id and peek_handler")
    if option.made_id and not option.made_id_header:
        raise ValueError("made_id needs made_id_header")


def _final_values(response: Descriptor, option: options_pb2.Route) -> frozenset[int]:
    if not option.final_field:
        return frozenset()
    enum = field_path(response, option.final_field).field.enum_type
    if enum is None:
        raise ValueError(f"final_field {option.final_field!r} is no enum")
    return frozenset(enum.values_by_name[name].number for name in option.final_values)


def field_path(message: Descriptor, text: str) -> FieldPath:
    """Find a field by its dotted name. Raises ValueError where a part of it does not exist or is a list."""
    *parents, name = text.split(".")
    for parent in parents:
        inner = message.fields_by_name.get(parent)
        if inner is None or inner.message_type is None or inner.is_repeated:
            raise ValueError(f"{message.name} has no message {parent!r} (in {text!r})")
        message = inner.message_type
    field = message.fields_by_name.get(name)
    if field is None:
        raise ValueError(f"{message.name} has no field {name!r} (in {text!r})")
    return FieldPath(text, tuple(parents), name, field)


def _text_field(message: Descriptor, text: str) -> FieldPath:
    path = field_path(message, text)
    if path.field.type != FieldDescriptor.TYPE_STRING or path.field.is_repeated:
        raise ValueError(f"field {text!r} is no string")
    return path


def _id_field(message: Descriptor, text: str) -> FieldPath:
    path = _text_field(message, text)
    if not rules_of(path.field).id:
        # A key from anything else could name another object, or none: FACTS.md, "The ingress".
        raise ValueError(f"field {text!r} stands in a key or is made by us, so its rules must say `id: true`")
    return path


def _key_template(message: Descriptor, text: str) -> KeyTemplate:
    parts: list[str | FieldPath] = []
    for part in text.split(":"):
        braced = _BRACED.fullmatch(part)
        if braced is None and not is_id(part):
            raise ValueError(f"key template {text!r}: cannot read {part!r}")
        parts.append(part if braced is None or braced[1] == CALLER else _id_field(message, braced[1]))
    return KeyTemplate(text, tuple(parts))


def option_of(options: Any, extension: Any) -> Any:
    """Read an option of our own or of google.api; the generated types do not know extensions."""
    return options.Extensions[extension]


def rules_of(field: FieldDescriptor) -> options_pb2.FieldRules:
    """Give the rules of a field; empty ones where the proto says nothing."""
    rules: options_pb2.FieldRules = option_of(field.GetOptions(), options_pb2.rules)
    return rules


def _ruled_fields(
    message: Descriptor, above: tuple[str, ...] = ()
) -> Iterator[tuple[FieldPath, options_pb2.FieldRules]]:
    """Yield the fields that can be reached without passing a list, with their rules."""
    for field in message.fields:
        yield field_path_of(above, field), rules_of(field)
        if field.message_type is not None and not field.is_repeated and len(above) < MAX_DEPTH:
            yield from _ruled_fields(field.message_type, (*above, field.name))


def text_fields(message: Descriptor) -> list[FieldPath]:
    """Give the single strings of a message that can be reached without passing a list."""
    return [
        path
        for path, _ in _ruled_fields(message)
        if path.field.type == FieldDescriptor.TYPE_STRING and not path.field.is_repeated
    ]


def field_path_of(parents: tuple[str, ...], field: FieldDescriptor) -> FieldPath:
    """Give the path of a field below its parents."""
    return FieldPath(".".join((*parents, field.name)), parents, field.name, field)


def further_files(content: bytes) -> list[FileDescriptor]:
    """Add a serialized FileDescriptorSet to those that are known; give its files that were not."""
    pool = descriptor_pool.Default()
    added = []
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        try:
            pool.FindFileByName(file.name)
        except KeyError:
            pool.AddSerializedFile(file.SerializeToString())
            added.append(pool.FindFileByName(file.name))
    return added


def enum_prefix(kind: EnumDescriptor) -> str:
    """Give what an enum's values begin with, by its zero value; empty where that is not `..._UNSPECIFIED`."""
    zero: str = kind.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED") if zero.endswith("_UNSPECIFIED") else ""
