"""Says in words why a pod does not serve. Pure, over the Kubernetes client's pod objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

LONGEST_MESSAGE: Final = 200
LogLine = Callable[[str, str, bool], str]
"""Gives the last log line of (pod, container, of the run before this one)."""


def explain(pods: list[Any], last_line: LogLine) -> str:
    """Say of each pod what keeps it from being ready; empty where all are."""
    told = [text for pod in pods if (text := explain_pod(pod, last_line))]
    return "; ".join(told) if pods else "there is no pod"


def explain_pod(pod: Any, last_line: LogLine) -> str:
    """Say what keeps a pod from being ready; empty where it is ready."""
    name, status = pod.metadata.name, pod.status
    if pod.metadata.deletion_timestamp:
        return f"pod {name} is being stopped"
    for container in [*(status.init_container_statuses or ()), *(status.container_statuses or ())]:
        told = _explain_container(name, container, last_line)
        if told:
            return f"pod {name}: {told}"
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status != "True":
            return f"pod {name} cannot be placed: {condition.message or condition.reason}"
    if any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions or ()):
        return ""
    return f"pod {name} is {status.phase} and not ready"


def is_ready(pod: Any) -> bool:
    """Tell whether a pod is ready and is not being stopped."""
    ready = any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions or ())
    return ready and not pod.metadata.deletion_timestamp


def _explain_container(pod: str, container: Any, last_line: LogLine) -> str:
    state = container.state
    waiting = state.waiting if state else None
    if waiting and waiting.reason not in ("ContainerCreating", "PodInitializing"):
        told = [waiting.reason or "waiting"]
        if waiting.reason == "CrashLoopBackOff":
            told.append(last_line(pod, container.name, True))  # noqa: FBT003 - the type has no keywords
        elif waiting.message:
            told.append(waiting.message[:LONGEST_MESSAGE])
        return ": ".join(filter(None, told))
    ended = state.terminated if state else None
    if ended and ended.exit_code:
        line = last_line(pod, container.name, False)  # noqa: FBT003 - the type has no keywords
        return ": ".join(filter(None, [f"ended with code {ended.exit_code}", line]))
    return ""
