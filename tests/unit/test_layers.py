"""Who may import whom. A wrong arrow here is how a rule ends up where nobody looks for it."""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOKING = ("ticket", "seatmap", "checkout")
PURE_COMMON = {f"services.common.{name}" for name in ("errors", "ids", "money", "paging", "seats", "states")}
IMPURE_STDLIB = {
    "asyncio", "concurrent", "contextvars", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for folder in ("services", "simulators")
    for path in (ROOT / folder).rglob("*.py")
    if "gen" not in path.parts
}
DOMAINS = sorted(name for name in MODULES if name.rpartition(".")[2].startswith("domain"))
MESSAGES = sorted(name for name in MODULES if name.rpartition(".")[2].startswith("messages"))


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Every module that a module names in an import, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else node.module
                for alias in node.names
            }
    return frozenset(found - {"__future__"})


def reached(module: str) -> set[str]:
    """Every module that comes with a module, through however many of ours."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        for name in imports(queue.pop()) - seen:
            seen.add(name)
            if name in MODULES:
                queue.append(name)
    return seen


def under(names: set[str] | frozenset[str], *packages: str) -> set[str]:
    return {name for name in names if any(name == package or name.startswith(f"{package}.") for package in packages)}


def of(package: str) -> list[str]:
    return sorted(under(set(MODULES), package))


def test_the_modules_are_found() -> None:
    """The tests below look at something."""
    assert {"services.ticket.domain", "services.seatmap.domain", "services.checkout.domain"} <= set(DOMAINS)
    assert {f"services.{name}.messages" for name in BOOKING} <= set(MESSAGES)


@pytest.mark.parametrize("module", DOMAINS)
def test_a_domain_is_pure(module: str) -> None:
    """Standard library without the world outside, and what is pure of common; no await, no clock."""
    own = module.rpartition(".")[0]
    for name in imports(module):
        if name.startswith("services."):
            assert name in PURE_COMMON or (name.startswith(f"{own}.domain")), f"{module} imports {name}"
        else:
            assert name.partition(".")[0] in sys.stdlib_module_names - IMPURE_STDLIB, f"{module} imports {name}"
    for node in ast.walk(tree(module)):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith), module
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today"}, f"{module} reads a clock"


@pytest.mark.parametrize("module", sorted(PURE_COMMON))
def test_what_domains_build_on_is_pure_too(module: str) -> None:
    """Nothing comes in by the back door."""
    assert not under(reached(module), "restate", "aiohttp", "structlog", "asyncio", "time", "secrets", "logging")


@pytest.mark.parametrize("module", MESSAGES)
def test_messages_hold_types_alone(module: str) -> None:
    """What another service may import brings neither Restate nor a domain with it."""
    found = reached(module)
    assert not under(found, "restate", "aiohttp", "structlog")
    assert not {name for name in found if name in DOMAINS or ".handlers" in name}


@pytest.mark.parametrize("service", BOOKING)
def test_a_service_knows_others_by_their_messages(service: str) -> None:
    """Never another service's domain, handlers or app."""
    others = [f"services.{name}" for name in (*BOOKING, "gateway", "registrar", "cli") if name != service]
    for module in of(f"services.{service}"):
        strange = {name for name in under(imports(module), *others, "simulators") if name not in MESSAGES}
        assert not strange, f"{module} imports {strange}"


def test_the_gateway_knows_neither_restate_nor_a_rule() -> None:
    """Not even through something else."""
    for module in of("services.gateway"):
        found = reached(module)
        assert not under(found, "restate"), f"{module} brings the Restate SDK"
        rules = under(found, *(f"services.{name}" for name in BOOKING))
        assert not {name for name in rules if name not in MESSAGES}, f"{module} brings {rules}"


def test_common_knows_no_service() -> None:
    """Everything may build on common, so common builds on nothing of ours."""
    for module in of("services.common"):
        assert not {name for name in under(imports(module), "services") if not name.startswith("services.common")}, (
            module
        )


def test_services_never_import_the_simulators() -> None:
    """Simulators are processes of their own; production has none."""
    for module in of("services"):
        assert not under(imports(module), "simulators"), module


def test_simulators_know_settings_and_logs_only() -> None:
    """A simulator that shared a rule with what it judges would judge nothing."""
    allowed = {"services.common.config", "services.common.log"}
    for module in of("simulators"):
        assert under(imports(module), "services") <= allowed, module


def test_only_the_registrar_reaches_the_admin_api() -> None:
    """The registrar stands alone: no rule, no handler."""
    for module in of("services.registrar"):
        found = {name for name in under(reached(module), "services") if name not in of("services.registrar")}
        assert found <= {"services.common", "services.common.code"}, f"{module} brings {found}"
    for module in (*of("services.gateway"), *(name for service in BOOKING for name in of(f"services.{service}"))):
        assert not under(reached(module), "services.registrar"), module


def test_ops_looks_at_stored_types_and_takes_no_rule() -> None:
    """It reads state as domains and messages describe it; no handler, no saga, and the audit's rules nothing at all."""
    for module in of("services.ops"):
        found = under(imports(module), *(f"services.{name}" for name in BOOKING))
        kinds = {name.split(".")[2].partition("_")[0] for name in found}
        assert kinds <= {"domain", "messages", "payments", "provider"}, f"{module} imports {found}"


def test_nobody_builds_on_ops() -> None:
    """But the command line, which checks signatures as ops makes them."""
    for module in sorted(MODULES):
        if not module.startswith(("services.ops", "services.cli")):
            assert not under(imports(module), "services.ops"), module
    assert under(reached("services.cli.opsview"), "services.ops") <= {"services.ops", "services.ops.signing"}


def test_handwritten_files_are_short() -> None:
    """About 300 lines at most: a longer one holds two things."""
    long = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: lines for name, lines in long.items() if lines > 330}
