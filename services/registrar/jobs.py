"""Runs one of a release's Jobs from outside: made from its CronJob, followed to its end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from services.registrar.errors import ClusterError
from services.registrar.kube import INSTANCE, Kube
from services.registrar.pods import explain_pod

KEEP_SECONDS: Final = 600
"""How long a finished Job can still be looked at."""
POLL_SECONDS: Final = 0.5
LONGEST_PREFIX: Final = 52
_ENDED_WAIT_SECONDS: Final = 30


def run(kube: Kube, release: str, command: str, start_seconds: float, say: Callable[[str], None]) -> int:
    """Make a Job from the release's CronJob of a command, pass its log to `say`, give its exit code.

    Raises ClusterError where the release has no such CronJob, or the pod has not started within `start_seconds`.
    """
    cron_job = _cron_job(kube, release, command)
    job = _start(kube, cron_job)
    pod = _started(kube, job, start_seconds)
    stream = kube.call(
        "read logs",
        kube.core.read_namespaced_pod_log,
        pod,
        kube.namespace,
        follow=True,
        _preload_content=False,
        _request_timeout=None,
    )
    rest = b""
    for chunk in stream.stream() if stream is not None else ():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            say(line.decode(errors="replace"))
    if rest:
        say(rest.decode(errors="replace"))
    return _exit_code(kube, job, pod)


def _cron_job(kube: Kube, release: str, command: str) -> Any:
    selector = f"{INSTANCE}={release}"
    found = kube.call(
        "list CronJobs", kube.batch.list_namespaced_cron_job, kube.namespace, label_selector=selector
    ).items
    for cron_job in found:
        if cron_job.metadata.name.endswith(f"-{command}"):
            return cron_job
    if found:
        raise ClusterError(f"release {release} in namespace {kube.namespace} has no CronJob for {command}")
    raise ClusterError(f"there is no release {release} of Nexus in namespace {kube.namespace}: helm list -A shows all")


def _start(kube: Kube, cron_job: Any) -> str:
    meta = cron_job.metadata
    template = cron_job.spec.job_template
    spec = template.spec
    if spec.ttl_seconds_after_finished is None:
        spec.ttl_seconds_after_finished = KEEP_SECONDS
    job = {
        "metadata": {
            "name": f"{meta.name[:LONGEST_PREFIX]}-{secrets.token_hex(4)}",
            "labels": (template.metadata and template.metadata.labels) or meta.labels,
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            # It goes when the release goes.
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": meta.name, "uid": meta.uid}],
        },
        "spec": spec,
    }
    made = kube.call("create Jobs", kube.batch.create_namespaced_job, kube.namespace, job)
    return str(made.metadata.name)


def _started(kube: Kube, job: str, seconds: float) -> str:
    """Wait until the Job's container runs, or has ended; give the pod's name."""
    deadline = time.monotonic() + seconds
    while True:
        pods = kube.pods(f"job-name={job}")
        for pod in pods:
            states = [item.state for item in pod.status.container_statuses or ()]
            if any(state.running or state.terminated for state in states):
                return str(pod.metadata.name)
        if time.monotonic() > deadline:
            told = "; ".join(explain_pod(pod, lambda *_: "") for pod in pods) or _why_no_pod(kube, job)
            raise ClusterError(f"Job {job} has not started within {seconds:.0f} s: {told}")
        time.sleep(POLL_SECONDS)


def _why_no_pod(kube: Kube, job: str) -> str:
    """Say why a Job has no pod: a quota or an admission rule refuses it, which only events tell."""
    try:
        events = kube.call(
            "list Events",
            kube.core.list_namespaced_event,
            kube.namespace,
            field_selector=f"involvedObject.name={job},type=Warning",
        ).items
    except ClusterError:
        events = []
    return str(events[-1].message) if events else "it has no pod"


def _exit_code(kube: Kube, job: str, pod: str) -> int:
    deadline = time.monotonic() + _ENDED_WAIT_SECONDS
    while time.monotonic() < deadline:
        for item in kube.pods(f"job-name={job}"):
            for status in item.status.container_statuses or () if item.metadata.name == pod else ():
                if status.state.terminated:
                    return int(status.state.terminated.exit_code)
        time.sleep(POLL_SECONDS)
    raise ClusterError(f"the log of Job {job} has ended but its pod {pod} is still running, or is gone")
