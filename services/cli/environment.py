"""The environment of each component of a local stack: where the others are, and the keys of its home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.cli import keys

if TYPE_CHECKING:
    from services.cli.local import LocalStack

HOST: Final = "127.0.0.1"
OTLP_ENDPOINT: Final = "NEXUS_OTLP_ENDPOINT"


def of(stack: LocalStack, component: str) -> dict[str, str]:
    """Give what a component of the stack is told, beside what it inherits."""
    own = _restate_settings(stack) if component == "restate" else _settings(stack, component)
    return own | _trace_settings(stack, component)


def report_key(home: Path) -> Path:
    """Give the file of the key that signs reports of audits; made when it is first needed, with its public half."""
    private, public = home / "keys" / "report.pem", home / "keys" / "report-public.pem"
    if not private.exists():
        _write(private, keys.new_pem())
    _write(public, keys.public_pem(keys.read_pem(private.read_text())))
    return private


def data_keys_url(home: Path) -> str:
    """Say where the keys of single buyers are: with the data that they open, since neither is worth a thing alone."""
    return (home / "data" / "buyer-keys").as_uri()


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read; whole or not at all."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.rename(path)


def _restate_settings(stack: LocalStack) -> dict[str, str]:
    return {
        "RESTATE_CLUSTER_NAME": "nexus-local",
        "RESTATE_NODE_NAME": "local",
        "RESTATE_BASE_DIR": str(stack.home / "data" / "restate"),
        "RESTATE_BIND_ADDRESS": f"{HOST}:{stack.ports.restate_node_port}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://{HOST}:{stack.ports.restate_node_port}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{stack.ports.restate_ingress_port}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{stack.ports.restate_admin_port}",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
        "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MB",
        "RESTATE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": str(stack.keys.identity_pem),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
    }


def _settings(stack: LocalStack, component: str) -> dict[str, str]:
    own = {
        "payment-simulator": {
            "NEXUS_PORT": str(stack.ports.payments_port),
            "NEXUS_LEDGER": str(stack.home / "data" / "ledger.jsonl"),
        },
        "mail-sink": {
            "NEXUS_PORT": str(stack.ports.mail_http_port),
            "NEXUS_SMTP_PORT": str(stack.ports.mail_port),
        },
        "gateway": {
            "NEXUS_HTTP_PORT": str(stack.ports.http_port),
            "NEXUS_GRPC_PORT": str(stack.ports.grpc_port),
            "NEXUS_METRICS_PORT": str(stack.ports.gateway_metrics_port),
            "NEXUS_INGRESS_URL": stack.ingress_url,
            "NEXUS_SEAL_KEYS": stack.keys.seal_keys,
            "NEXUS_DATA_KEYS_URL": data_keys_url(stack.home),
            "NEXUS_SUBJECT_KEY": stack.keys.subject_key,
            "NEXUS_AUTH_PUBLIC_KEY": str(stack.keys.auth_public_pem),
        },
        "ops": {
            "NEXUS_HTTP_PORT": str(stack.ports.ops_http_port),
            "NEXUS_GRPC_PORT": str(stack.ports.ops_grpc_port),
            "NEXUS_METRICS_PORT": str(stack.ports.ops_metrics_port),
            "NEXUS_ADMIN_URL": stack.admin_url,
            "NEXUS_INGRESS_URL": stack.ingress_url,
            "NEXUS_PAYMENTS_URL": stack.payments_url,
            "NEXUS_SUBJECT_KEY": stack.keys.subject_key,
            "NEXUS_DATA_KEYS_URL": data_keys_url(stack.home),
            "NEXUS_REPORT_KEY_FILE": str(report_key(stack.home)),
            "NEXUS_AUTH_PUBLIC_KEY": str(stack.keys.auth_public_pem),
        },
    }.get(component)
    if own is None:
        own = {
            "NEXUS_PORT": str(getattr(stack.ports, f"{component}_port")),
            "NEXUS_METRICS_PORT": str(getattr(stack.ports, f"{component}_metrics_port")),
            "NEXUS_IDENTITY_KEYS": stack.keys.identity_public,
        }
    if component == "checkout":
        own |= {
            "NEXUS_PAYMENTS_URL": stack.payments_url,
            "NEXUS_MAIL_HOST": HOST,
            "NEXUS_MAIL_PORT": str(stack.ports.mail_port),
            "NEXUS_SEAL_KEYS": stack.keys.seal_keys,
            "NEXUS_DATA_KEYS_URL": data_keys_url(stack.home),
        }
    return {"NEXUS_HOST": HOST} | own


def _trace_settings(stack: LocalStack, component: str) -> dict[str, str]:
    """Say where traces go, where NEXUS_OTLP_ENDPOINT (of whoever starts the stack) names a receiver."""
    otlp = stack.overrides.get("*", {}).get(OTLP_ENDPOINT) or os.environ.get(OTLP_ENDPOINT, "")
    if not otlp:
        return {}
    # Restate speaks OTLP/HTTP only under a scheme of its own. Source: docs.restate.dev, "Tracing".
    return (
        {"RESTATE_TRACING_ENDPOINT": f"otlp+{otlp.rstrip('/')}/v1/traces"}
        if component == "restate"
        else {OTLP_ENDPOINT: otlp}
    )
