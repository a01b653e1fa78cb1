"""A whole stack on this machine: Restate, simulators, endpoints and gateway, in one folder.

`nexus up` keeps one in `.nexus`; each run of the integration tests has one of its own.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from services.cli import environment, keys, ports
from services.cli.errors import StackError
from services.cli.keys import Keys
from services.cli.ports import Ports
from services.cli.processes import Processes
from services.common.code import SERVICES, code_hash
from services.common.config import ENDPOINTS

PROJECT: Final = SERVICES.parent
START_ORDER: Final = ("restate", "payment-simulator", "mail-sink", *ENDPOINTS, "gateway", "ops")
STOP_SECONDS: Final = 25.0
"""Longer than a process drains (20 s)."""

READY_SECONDS: Final = 60.0
HOST: Final = "127.0.0.1"


class LocalStack:
    """Starts, stops and kills the processes of one home.

    `overrides`: more environment variables per component ("restate" included); "*" means every component.
    """

    def __init__(
        self, home: Path, local_ports: Ports, overrides: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.home = home.resolve()
        self.ports = local_ports
        self.overrides = dict(overrides or {})
        self.processes = Processes(self.home)
        self._found_running: set[str] = set()

    @functools.cached_property
    def keys(self) -> Keys:
        """The keys of the home; made when they are first needed."""
        return keys.ensure(self.home / "keys")

    @property
    def ingress_url(self) -> str:
        """Where Restate takes calls."""
        return f"http://{HOST}:{self.ports.restate_ingress_port}"

    @property
    def admin_url(self) -> str:
        """Where Restate is administered."""
        return f"http://{HOST}:{self.ports.restate_admin_port}"

    @property
    def gateway_url(self) -> str:
        """The HTTP door."""
        return f"http://{HOST}:{self.ports.http_port}"

    @property
    def grpc_address(self) -> str:
        """The gRPC door."""
        return f"{HOST}:{self.ports.grpc_port}"

    @property
    def ops_address(self) -> str:
        """Where ops answers over gRPC."""
        return f"{HOST}:{self.ports.ops_grpc_port}"

    @property
    def ops_url(self) -> str:
        """Where ops answers over HTTP."""
        return f"http://{HOST}:{self.ports.ops_http_port}"

    @property
    def payments_url(self) -> str:
        """The payment simulator."""
        return f"http://{HOST}:{self.ports.payments_port}"

    @property
    def mail_url(self) -> str:
        """The mail sink's list of messages."""
        return f"http://{HOST}:{self.ports.mail_http_port}"

    def endpoint_url(self, name: str) -> str:
        """Where an endpoint listens."""
        return f"http://{HOST}:{getattr(self.ports, f'{name}_port')}"

    def environ(self, component: str) -> dict[str, str]:
        """Give all the environment that a component is started with."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUS_", "RESTATE_"))}
        inherited["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH", ""))))
        return (
            inherited
            | environment.of(self, component)
            | dict(self.overrides.get("*", {}))
            | dict(self.overrides.get(component, {}))
        )

    def start(self, component: str) -> bool:
        """Start a component unless it runs as it should; wait until it is ready. False where nothing was done.

        A component that runs with other settings or older code is restarted. Raises StackError.
        """
        if self.is_current(component):
            self._found_running.add(component)
            return False
        self._found_running.discard(component)
        # Before it is stopped: what runs is better than nothing.
        self.check_ports(component)
        if self.stop(component):
            self.check_ports(component)
        argv, environ = self._argv(component), self.environ(component)
        settings = self._settings_hash(component, argv, environ)
        self.home.joinpath("data").mkdir(parents=True, exist_ok=True)
        self.processes.start(component, argv, environ, settings, tuple(self.ports.of(component).values()))
        return True

    def is_current(self, component: str) -> bool:
        """Tell whether a component runs with the settings and the code that it would be started with."""
        record = self.processes.record(component)
        return record is not None and record.settings == self._settings_hash(
            component, self._argv(component), self.environ(component)
        )

    def wait_ready(self, component: str, seconds: float = READY_SECONDS, *, ready: bool = False) -> None:
        """Wait until a component answers; with `ready`, the gateway until it also reaches what it needs.

        One that `start` found running and that ends meanwhile is started again, once: it was draining.
        Raises StackError with the end of its log.
        """
        deadline = time.monotonic() + seconds
        for url in [f"{self.gateway_url}/readyz"] if ready else self.health_urls(component):
            while not answers(url):
                if self.processes.record(component) is None:
                    if component in self._found_running:
                        self.processes.wait_gone(component, STOP_SECONDS)
                        self.start(component)
                        deadline = time.monotonic() + seconds
                        continue
                    raise StackError(f"{component} ended right away; the end of its log:\n{self._tail(component)}")
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{component} did not answer {url} within {seconds:.0f} s; the end of its log:\n"
                        f"{self._tail(component)}"
                    )
                time.sleep(0.05)

    def start_all(self, say: Callable[[str], None] = lambda _: None) -> list[str]:
        """Start every component, side by side; give those that were started. `say` hears of each as it is ready."""
        for component in START_ORDER:
            # Before anything runs or is stopped: half a stack helps nobody.
            self.check_ports(component)
        self.ports.keep(self.home)
        begun = time.monotonic()
        started = [component for component in START_ORDER if self.start(component)]
        if started:
            say(f"starting {', '.join(started)}")
        for component in START_ORDER:
            self.wait_ready(component)
            if component not in self._found_running:
                numbers = ", ".join(str(port) for port in self.ports.of(component).values() if port)
                say(f"{component} is ready after {time.monotonic() - begun:.1f} s, ports {numbers}")
        return [component for component in START_ORDER if component not in self._found_running]

    def check_ports(self, component: str) -> None:
        """Raise StackError where somebody else listens on a port of the component; where it listens itself is fine."""
        record = self.processes.record(component)
        own = record.ports if record else ()
        if own is None:
            # Its record is older than this check.
            return
        for field, port in self.ports.of(component).items():
            if port and port not in own and ports.is_taken(port):
                raise StackError(
                    f"{component}: port {port} is taken by another program; set {ports.variable(field)} to a free port"
                )

    def stop(self, component: str) -> bool:
        """Let a component drain and end. False where it did not run."""
        return bool(self.processes.stop([component], STOP_SECONDS))

    def stop_all(self) -> list[str]:
        """Stop every component, the doors first; give those that ran."""
        # The gateway first: it still needs the others for the calls it is answering.
        groups = (("gateway", "ops"), ENDPOINTS, ("mail-sink", "payment-simulator"), ("restate",))
        return [component for group in groups for component in self.processes.stop(group, STOP_SECONDS)]

    def kill(self, component: str) -> None:
        """SIGKILL the whole process group of a component."""
        self.processes.kill(component)

    def restart(self, component: str) -> None:
        """Start a component again, whether it runs or was killed, and wait until it is ready."""
        self.stop(component)
        self.start(component)
        self.wait_ready(component)

    def wipe(self) -> None:
        """Remove all that the stack has stored. Keys and logs stay."""
        shutil.rmtree(self.home / "data", ignore_errors=True)

    def health_urls(self, component: str) -> list[str]:
        """Where a component tells that it is alive."""
        if component == "restate":
            return [f"{self.ingress_url}/restate/health", f"{self.admin_url}/health"]
        if component in ENDPOINTS:
            return [f"{self.endpoint_url(component)}/health"]
        return {
            "gateway": [f"{self.gateway_url}/livez"],
            "ops": [f"{self.ops_url}/livez"],
            "payment-simulator": [f"{self.payments_url}/health"],
            "mail-sink": [f"{self.mail_url}/health"],
        }[component]

    def _argv(self, component: str) -> list[str]:
        if component == "restate":
            return [restate_server(self.home)]
        return [sys.executable, "-m", "services.cli", "run", component]

    def _settings_hash(self, component: str, argv: list[str], environ: Mapping[str, str]) -> str:
        ours = {name: value for name, value in environ.items() if name.startswith(("NEXUS_", "RESTATE_"))}
        folder = {"payment-simulator": PROJECT / "simulators", "mail-sink": PROJECT / "simulators"}.get(component)
        code = "" if component == "restate" else code_hash(folder or SERVICES / component)
        if component == "ops":
            # It serves with the gateway's doors.
            code += code_hash(SERVICES / "gateway")
        return hashlib.sha256(json.dumps([argv, ours, code], sort_keys=True).encode()).hexdigest()

    def _tail(self, component: str) -> str:
        return f"{self.processes.tail(component)}\n(all of it: {self.processes.log_file(component)})"


def restate_server(home: Path) -> str:
    """Find the restate-server binary: RESTATE_SERVER, the home's or the project's own, or the PATH's."""
    named = os.environ.get("RESTATE_SERVER", "")
    if named:
        found = shutil.which(named)
        if found is None:
            raise StackError(f"RESTATE_SERVER names {named}, which is not an executable file")
        return found
    for folder in (home, PROJECT / ".nexus"):
        # Not node_modules/.bin: that is a script which would stand between us and the server's signals.
        for binary in folder.glob("restate/node_modules/@restatedev/restate-server-*/bin/restate-server"):
            return str(binary)
    found = shutil.which("restate-server")
    if found is None:
        raise StackError("restate-server is missing: run `make setup`, or let RESTATE_SERVER name the binary")
    return found


def answers(url: str) -> bool:
    """Tell whether a GET is answered with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - only addresses made above
            return True
    except (urllib.error.URLError, OSError):
        return False
