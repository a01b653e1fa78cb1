"""`nexus preflight`: what is fine on this machine, and what would stop `make up`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import defaultdict
from importlib import metadata
from typing import Final

from services.cli.local import PROJECT, START_ORDER, LocalStack, answers
from services.cli.ports import is_taken, variable
from services.cli.tools import NOTE, OK, STOP, Check, check_tools, judge_restate_version

ANSWER_SECONDS: Final = 5


def preflight(stack: LocalStack) -> list[Check]:
    """Look at tools, packages, ports, and the health of what runs. Nothing is started or changed."""
    return [*check_tools(PROJECT, stack.home), check_packages(), *check_ports(stack), *check_health(stack)]


def check_packages() -> Check:
    """Compare the installed Python packages with the versions that pyproject.toml pins."""
    try:
        wanted = [line for line in metadata.requires("nexus") or () if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        return Check("packages", NOTE, "nexus itself is not installed here: make setup")
    others = []
    for line in wanted:
        name, _, version = line.partition("==")
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "nothing"
        if found != version.strip():
            others.append(f"{name} {found} in place of {version}")
    if others:
        return Check("packages", STOP, f"{'; '.join(others)}: make setup")
    return Check("packages", OK, f"{len(wanted)} as pinned")


def check_ports(stack: LocalStack) -> list[Check]:
    """Tell of each component's ports whether they are free, taken by itself, or by somebody else."""
    wanted = defaultdict(list)
    for component in START_ORDER:
        for field, port in stack.ports.of(component).items():
            if port:
                wanted[port].append(variable(field))
    checks = [
        Check("ports", STOP, f"{port} is asked for twice: by {' and by '.join(fields)}")
        for port, fields in wanted.items()
        if len(fields) > 1
    ]
    for component in START_ORDER:
        ports = {field: port for field, port in stack.ports.of(component).items() if port}
        shown = ", ".join(map(str, ports.values()))
        if stack.processes.record(component) is not None:
            checks.append(Check("ports", OK, f"{shown}: taken by our own {component}"))
            continue
        taken = {field: port for field, port in ports.items() if is_taken(port)}
        checks += [
            Check("ports", STOP, f"{port} of {component} is taken by another program: {variable(field)} moves it")
            for field, port in taken.items()
        ]
        if not taken:
            checks.append(Check("ports", OK, f"{shown}: free for {component}"))
    return checks


def check_health(stack: LocalStack) -> list[Check]:
    """Ask every component of the stack that runs."""
    running = [component for component in START_ORDER if stack.processes.record(component) is not None]
    if not running:
        return [Check("health", NOTE, "the stack is not running: make up starts it")]
    checks = [_health(stack, component) for component in START_ORDER if component not in ("restate", "gateway")]
    return [*_restate_health(stack), *checks, *_gateway_health(stack)]


def _health(stack: LocalStack, component: str) -> Check:
    if stack.processes.record(component) is None:
        return Check(component, NOTE, "not running: make up starts it")
    silent = [url for url in stack.health_urls(component) if not answers(url)]
    if silent:
        return Check(component, STOP, f"runs, but {silent[0]} does not answer: make logs, make down")
    return Check(component, OK, "answers")


def _restate_health(stack: LocalStack) -> list[Check]:
    health = _health(stack, "restate")
    if health.state != OK:
        return [health]
    status, text = _get(f"{stack.admin_url}/version")
    try:
        version = str(json.loads(text)["version"])
    except (ValueError, KeyError, TypeError):
        return [health, Check("restate-server", NOTE, f"{stack.admin_url}/version answers {status} without a version")]
    return [health, judge_restate_version(version, f"runs at {stack.admin_url}")]


def _gateway_health(stack: LocalStack) -> list[Check]:
    health = _health(stack, "gateway")
    if health.state != OK:
        return [health]
    status, text = _get(f"{stack.gateway_url}/readyz")
    if status != 200:  # noqa: PLR2004
        return [health, Check("gateway", NOTE, f"not ready, make up registers what is missing: {text[:300]}")]
    return [health, Check("gateway", OK, "reaches every service through Restate")]


def _get(url: str) -> tuple[int, str]:
    """GET one of our own addresses; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - only the stack's own
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, " ".join(error.read().decode(errors="replace").split())
    except OSError as error:
        return 0, str(error)
