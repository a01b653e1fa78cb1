"""What is printed where a test failed: the namespace's pods, events and logs, and what Restate knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubernetes.client import ApiException

from tests.e2e.cluster import Cluster, Door

LOG_LINES = 60
ADMIN_PORT = 9070
INVOCATIONS = (
    "select id, target, status, retry_count, pinned_deployment_id, last_failure from sys_invocation "
    "where status != 'completed' limit 50"
)


def diagnose(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Give what explains a failure, line by line."""
    pods = cluster.pods(namespace)
    yield f"--- pods of {namespace}"
    for pod in pods:
        states = [_state(status) for status in pod.status.container_statuses or []]
        yield f"{pod.metadata.name}  {pod.status.phase}  {', '.join(states)}"
    yield "--- events"
    events = cluster.core.list_namespaced_event(namespace).items
    for event in sorted(events, key=lambda event: str(event.last_timestamp or event.event_time))[-60:]:
        yield f"{event.last_timestamp or event.event_time} {event.involved_object.name} {event.reason}: {event.message}"
    for pod in pods:
        yield from _logs(cluster, namespace, pod)
    for pod in pods:
        if (pod.metadata.labels or {}).get("app.kubernetes.io/component") == "restate":
            yield from _restate(namespace, pod.metadata.name)


def _logs(cluster: Cluster, namespace: str, pod: Any) -> Iterator[str]:
    restarts = sum(status.restart_count for status in pod.status.container_statuses or [])
    for previous in (True, False) if restarts else (False,):
        yield f"--- log of {pod.metadata.name}{' before its restart' if previous else ''}"
        try:
            yield cluster.core.read_namespaced_pod_log(
                pod.metadata.name, namespace, tail_lines=LOG_LINES, previous=previous
            )
        except ApiException as error:
            yield f"(no log: {error.reason})"


def _restate(namespace: str, pod: str) -> Iterator[str]:
    door = Door(namespace, pod, ADMIN_PORT)
    for title, call in (
        ("unfinished invocations", ("POST", "/query", {"query": INVOCATIONS})),
        ("registrations", ("GET", "/deployments", None)),
    ):
        yield f"--- {title} at {pod}"
        try:
            status, answer = door.request(*call)
            yield f"{status} {json.dumps(answer)[:6000]}"
        except (OSError, ApiException) as error:
            yield f"(no answer: {error})"


def _state(status: Any) -> str:
    state = status.state
    if state.waiting:
        return f"waiting: {state.waiting.reason} {state.waiting.message or ''}"
    if state.terminated:
        return f"ended with {state.terminated.exit_code} ({state.terminated.reason})"
    return f"{'ready' if status.ready else 'not ready'}, {status.restart_count} restarts"
