"""Reads and writes Secrets. Their content is never put into a text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.registrar.errors import ClusterError
from services.registrar.kube import INSTANCE, Kube

_CONFLICT: Final = 409


class Held(msgspec.Struct, frozen=True):
    """What a Secret holds, as text; what is no text reads as empty."""

    data: Mapping[str, str]
    annotations: Mapping[str, str]
    resource_version: str

    def __repr__(self) -> str:
        """Name the keys and no content."""
        return f"Held({', '.join(sorted(self.data))})"


class Secrets:
    """The Secrets of a namespace."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube

    def read(self, name: str) -> Held | None:
        """Give what a Secret holds; None where there is none. Raises ClusterError."""
        found = self.kube.call(f"read Secret {name}", self.kube.core.read_namespaced_secret, name, self.kube.namespace)
        return None if found is None else _held(found)

    def create(self, name: str, data: Mapping[str, str], release: str) -> bool:
        """Make a Secret; False where there is one by now. Raises ClusterError."""
        body: dict[str, Any] = {
            "metadata": {
                "name": name,
                "labels": {
                    "app.kubernetes.io/name": "nexus",
                    INSTANCE: release,
                    "app.kubernetes.io/part-of": "nexus",
                    # Not Helm: an uninstall leaves the keys.
                    "app.kubernetes.io/managed-by": "nexus-make-keys",
                },
            },
            "stringData": dict(data),
        }
        try:
            self.kube.call(f"create Secret {name}", self.kube.core.create_namespaced_secret, self.kube.namespace, body)
        except ClusterError as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True

    def patch(
        self,
        name: str,
        data: Mapping[str, str | None],
        resource_version: str,
        annotations: Mapping[str, str | None] | None = None,
    ) -> Held:
        """Change a Secret that nobody has changed meanwhile; None removes a key. Raises ClusterError."""
        encoded = {
            key: None if text is None else base64.b64encode(text.encode()).decode() for key, text in data.items()
        }
        body = {
            "metadata": {"resourceVersion": resource_version, "annotations": dict(annotations or {})},
            "data": encoded,
        }
        return _held(
            self.kube.call(
                f"change Secret {name}",
                self.kube.core.patch_namespaced_secret,
                name,
                self.kube.namespace,
                body,
            )
        )


def _held(found: Any) -> Held:
    data = {key: _text(value) for key, value in (found.data or {}).items()}
    return Held(data, dict(found.metadata.annotations or {}), found.metadata.resource_version)


def _text(encoded: str | None) -> str:
    try:
        return base64.b64decode(encoded or "").decode()
    except UnicodeDecodeError:
        return ""
