"""The ports of a local stack, all on loopback."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from services.common.config import Port, load

_FREE_FROM: Final = 20_000
_FREE_BELOW: Final = 32_768
"""Below the ports that a system gives to outgoing connections, which could take one that a stack was stopped on."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """One port per door. Each is moved by a variable: `ticket_port` by NEXUS_TICKET_PORT."""

    restate_ingress_port: Port = 8080
    restate_admin_port: Port = 9070
    restate_node_port: Port = 5122
    payments_port: Port = 8901
    mail_port: Port = 2525
    mail_http_port: Port = 8902
    ticket_port: Port = 9081
    seatmap_port: Port = 9082
    checkout_port: Port = 9083
    ticket_metrics_port: Port = 9181
    seatmap_metrics_port: Port = 9182
    checkout_metrics_port: Port = 9183
    gateway_metrics_port: Port = 9184
    ops_metrics_port: Port = 9185
    grpc_port: Port = 50051
    http_port: Port = 8000
    ops_grpc_port: Port = 50052
    ops_http_port: Port = 8001

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Ports:
        """Take the ports from the environment. Raises ConfigError."""
        return load(cls, environ)

    @classmethod
    def chosen(cls, home: Path, environ: Mapping[str, str]) -> Ports:
        """Take each port from the environment, else where the home's stack was started last. Raises ConfigError."""
        try:
            kept = msgspec.json.decode(_kept(home).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            kept = cls()
        return load(cls, environ, msgspec.structs.asdict(kept))

    def keep(self, home: Path) -> None:
        """Let the home remember where its stack is, for commands that are not told."""
        file = _kept(home)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self))
        draft.replace(file)

    @classmethod
    def free(cls) -> Ports:
        """Choose ports that nobody listens on now."""
        numbers: list[int] = []
        with ExitStack() as stack:
            while len(numbers) < len(cls.__struct_fields__):
                # All open at once, so that none is given twice.
                opened = stack.enter_context(socket.socket())
                number = _FREE_FROM + secrets.randbelow(_FREE_BELOW - _FREE_FROM)
                try:
                    opened.bind(("127.0.0.1", number))
                except OSError:
                    continue
                numbers.append(number)
        return cls(**dict(zip(cls.__struct_fields__, numbers, strict=True)))

    def of(self, component: str) -> dict[str, int]:
        """Give the ports that a component listens on, by field name."""
        names = {
            "restate": ("restate_ingress_port", "restate_admin_port", "restate_node_port"),
            "payment-simulator": ("payments_port",),
            "mail-sink": ("mail_port", "mail_http_port"),
            "gateway": ("http_port", "grpc_port", "gateway_metrics_port"),
            "ops": ("ops_http_port", "ops_grpc_port", "ops_metrics_port"),
        }.get(component, (f"{component}_port", f"{component}_metrics_port"))
        return {name: getattr(self, name) for name in names}


def _kept(home: Path) -> Path:
    return home / "run" / "ports.json"


def variable(field: str) -> str:
    """Name the environment variable that moves a port."""
    return f"NEXUS_{field.upper()}"


def is_taken(port: int) -> bool:
    """Tell whether somebody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: a closed connection's remains do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
