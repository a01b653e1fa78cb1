"""The driver: a pod of the test image that stands where the release's own test pod stands.

Its labels (component `test` of the release) let it through the NetworkPolicies to gateway, simulator and mail sink.
Programs run in it as `python -m tests.e2e.programs.NAME`: they read one line of JSON and print one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import Cluster, Done
from tests.e2e.waiting import until

SLACK_SECONDS = 240
"""How long a load may take beyond its own time: until every outcome is final and judged."""


class Driver:
    """One pod that plays clients."""

    def __init__(self, cluster: Cluster, namespace: str, image: str, instance: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.pod = f"driver-{instance}-{uuid.uuid4().hex[:6]}"
        labels = {"component": "test", "instance": instance, "name": "nexus"}
        cluster.run_pod(namespace, self.pod, image, labels, ["sleep", "infinity"])

    def sh(self, command: Sequence[str], seconds: float = 60) -> Done:
        """Run a command."""
        return self.cluster.exec(self.namespace, self.pod, command, seconds=seconds)

    def write(self, name: str, text: str) -> str:
        """Write a small file into the pod and give its path."""
        path = f"/tmp/{name}"
        done = self.cluster.exec(
            self.namespace, self.pod, ["python3", "-c", f"open({path!r}, 'w').write({text!r})"], seconds=20
        )
        assert done.code == 0, done.err
        return path

    def program(self, name: str, told: dict[str, Any], seconds: float = 60) -> Any:
        """Run one of tests/e2e/programs and give what it printed."""
        command = ["python3", "-m", f"tests.e2e.programs.{name}"]
        done = self.cluster.exec(self.namespace, self.pod, command, line=json.dumps(told), seconds=seconds)
        assert done.code == 0, f"{name} ended with {done.code}: {done.out[-1000:]}{done.err[-3000:]}"
        return json.loads(done.out.strip().splitlines()[-1])

    def ask(self, method: str, url: str, body: object = None) -> Any:
        """Send an HTTP request from the pod and give its answer; fails unless the status is 200."""
        found = self.program("ask", {"method": method, "url": url, "body": body})
        assert found["status"] == 200, found
        return found["answer"]

    @contextmanager
    def load(self, told: dict[str, Any]) -> Iterator[Load]:
        """Let buyers buy in the background; leaving the block ends them and waits for the report.

        The block begins once the first sale was made, so that what is done in it meets a sale under way; with
        `at_once`, as soon as the program runs.
        """
        folder = f"/tmp/load-{uuid.uuid4().hex[:8]}"
        assert self.sh(["mkdir", folder]).code == 0
        seconds = told["seconds"] + SLACK_SECONDS
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.program, "buyers", told | {"folder": folder}, seconds)
            load = Load(self, folder, running)
            try:
                if not told.get("at_once"):
                    load.wait_for_sales(1)
                yield load
            finally:
                load.stop()
            load.report = running.result(seconds)


class Load:
    """Buyers at work. `report` is there once the block has been left."""

    def __init__(self, driver: Driver, folder: str, running: Future[Any]) -> None:
        self._driver, self._folder, self._running = driver, folder, running
        self.report: dict[str, Any] = {}

    def sales(self) -> int:
        """Count the sales made so far."""
        if self._running.done():
            self._running.result()
        done = self._driver.sh(["cat", f"{self._folder}/sales"])
        return int(done.out or 0) if done.code == 0 else 0

    def wait_for_sales(self, more: int, seconds: float = 60) -> None:
        """Wait until so many more sales were made than now."""
        target = self.sales() + more
        until(lambda: self.sales() >= target, f"{more} more sales", seconds)

    def stop(self) -> None:
        """Let buyers finish what they began, and begin nothing new."""
        self._driver.sh(["touch", f"{self._folder}/stop"])
