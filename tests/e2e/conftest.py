"""The cluster of KUBECONFIG, a namespace for the run, and one release of the trial that most tests share.

A test that changes the shared release leaves it as it found it; one that needs another makes its own with
`new_release`. After a failure everything that explains it is printed.
"""

from __future__ import annotations

import gc
import os
import time
import tomllib
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.diagnose import diagnose
from tests.e2e.driver import Driver
from tests.e2e.release import PROJECT, Images, Release

NewRelease = Callable[..., Release]

namespaces: list[str] = []
"""Those of this run that are there now, for the diagnosis."""


def pytest_configure(config: pytest.Config) -> None:
    """The client of Kubernetes leaves its connections to the garbage collector; elsewhere that is an error."""
    config.addinivalue_line("filterwarnings", "ignore:unclosed:ResourceWarning")


def pytest_sessionfinish() -> None:
    """Collect what that client left behind here, where it may be ignored: pytest's own collection would report it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            gc.collect()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(scope="session")
def images() -> Images:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    return Images(
        os.environ.get("NEXUS_E2E_IMAGE", "docker.io/library/nexus"), os.environ.get("NEXUS_E2E_VERSION", version)
    )


@pytest.fixture(scope="session")
def new_namespace(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Make namespaces that enforce `restricted`, removed when the run ends (kept with NEXUS_E2E_KEEP=1)."""

    def make() -> str:
        name = f"nexus-e2e-{uuid.uuid4().hex[:8]}"
        cluster.create_namespace(name)
        namespaces.append(name)
        return name

    yield make
    if os.environ.get("NEXUS_E2E_KEEP") != "1":
        for name in list(namespaces):
            cluster.delete_namespace(name)
            namespaces.remove(name)


@pytest.fixture(scope="session")
def namespace(new_namespace: Callable[[], str]) -> str:
    return new_namespace()


@pytest.fixture(scope="session")
def trial(cluster: Cluster, images: Images, namespace: str) -> Iterator[Release]:
    """The shared release: the defaults, which have two gateways."""
    with Release(cluster, images, namespace, "nexus").uninstalled_at_end() as release:
        begun = time.monotonic()
        release.install({}, "--timeout", "4m")
        release.wait_until_ready()
        release.ready_after = time.monotonic() - begun
        yield release


@pytest.fixture(scope="session")
def driver(cluster: Cluster, images: Images, trial: Release) -> Driver:
    """Where the clients of the shared release run."""
    return Driver(cluster, trial.namespace, images.test, trial.name)


@pytest.fixture
def new_release(cluster: Cluster, images: Images) -> Iterator[NewRelease]:
    """Make releases of one test: `new_release(namespace, name, values)`; uninstalled at its end."""
    with ExitStack() as stack:

        def make(namespace: str, name: str, values: dict[str, Any] | None = None, *arguments: str) -> Release:
            release = Release(cluster, images, namespace, name)
            stack.enter_context(release.uninstalled_at_end())
            release.install(values, *(arguments or ("--wait", "--timeout", "4m")))
            return release

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the diagnosis to the report of a test that failed."""
    report = yield
    if report.failed and namespaces:
        # A new connection: the test's own may be what failed.
        lines = [line for name in namespaces for line in diagnose(Cluster(), name)]
        report.sections.append(("cluster", "\n".join(lines)))
    return report
