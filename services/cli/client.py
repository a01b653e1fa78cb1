"""The gRPC door as the booking commands use it: answers as JSON, refusals with an exit code of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message

from services.cli.call import find
from services.cli.failures import failure

_HEADERS_OF_IDS: Final = ("nexus-order-id", "nexus-event-id")


class Gateway:
    """A connection to the gRPC door.

    `token`: bearer token, or None for what is public; `credentials`: of TLS, or None for a connection in the clear.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        seconds: float = 30,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.address = address
        self._seconds = seconds
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        options = [("grpc.max_send_message_length", -1)]
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )

    def __enter__(self) -> Self:
        """Give the gateway itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._channel.close()

    def call(self, name: str, request: Mapping[str, Any] | Message, seconds: float | None = None) -> dict[str, Any]:
        """Call an RPC and give its answer as JSON, fields that are not set included. Raises GatewayError."""
        stub, message = self._stub(name, request)
        answer = stub.future(message, metadata=self._metadata, timeout=seconds or self._seconds)
        try:
            return _json(answer.result())
        except grpc.RpcError as error:
            raise failure(error, self.address, _told_id(answer)) from None

    def stream(
        self, name: str, request: Mapping[str, Any] | Message, seconds: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Call an RPC and give its answers as they come, by default without a deadline. Raises GatewayError."""
        stub, message = self._stub(name, request)
        is_unary = isinstance(stub, grpc.UnaryUnaryMultiCallable)
        answers = (stub.future if is_unary else stub)(message, metadata=self._metadata, timeout=seconds)
        try:
            for answer in [answers.result()] if is_unary else answers:
                yield json_format.MessageToDict(answer, preserving_proto_field_name=True)
        except grpc.RpcError as error:
            raise failure(error, self.address, _told_id(answers) if is_unary else "") from None
        finally:
            answers.cancel()

    def pages(self, name: str, request: Mapping[str, Any], field: str) -> Iterator[dict[str, Any]]:
        """Give every element of a list, page by page. Raises GatewayError."""
        token = ""
        while True:
            answer = self.call(name, {**request, "page_token": token})
            yield from answer[field]
            token = answer["next_page_token"]
            if not token:
                return

    def _stub(self, name: str, request: Mapping[str, Any] | Message) -> tuple[Any, Message]:
        path, method = find(name)
        request_type = message_factory.GetMessageClass(method.input_type)
        message = request if isinstance(request, Message) else json_format.ParseDict(dict(request), request_type())
        make: Any = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        response_type = message_factory.GetMessageClass(method.output_type)
        stub = make(
            f"/{path}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        return stub, message


def _json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _told_id(answer: Any) -> str:
    """Give the id that the gateway made for the request and told before it waited."""
    # A call that never began has no metadata.
    found = dict(answer.initial_metadata() or ())
    return str(next((found[name] for name in _HEADERS_OF_IDS if name in found), ""))
