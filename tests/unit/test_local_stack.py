"""What the local stack is made of: keys, ports, processes, code hashes, tokens."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import msgspec
import pytest

from services.cli import keys
from services.cli import token as tokens
from services.cli.errors import StackError
from services.cli.local import LocalStack
from services.cli.ports import Ports, is_taken, variable
from services.cli.processes import Processes, birth
from services.common.code import code_hash

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    """A second time gives the same keys; every file is 0600."""
    first, second = keys.ensure(tmp_path / "keys"), keys.ensure(tmp_path / "keys")
    assert first == second
    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert first.seal_keys not in repr(first)


def test_the_public_identity_key_is_written_as_restate_does() -> None:
    """Base58 of the raw bytes, leading zero bytes as ones; that Restate agrees, test_endpoint_identity.py shows."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # 32 bytes of value 0 ... 31: the leading zero byte becomes a 1.
    text = keys.public_identity(Ed25519PublicKey.from_public_bytes(bytes(range(32))))
    assert text == "publickeyv1_1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPNE"


def test_a_token_says_who_and_what(tmp_path: Path) -> None:
    """Subject, roles, issuer, audience and an end."""
    made = keys.ensure(tmp_path)
    token = tokens.sign(made.auth_private_pem, "ada", ["organizer"], hours=1)
    claims = jwt.decode(token, made.auth_public_pem.read_bytes(), ["EdDSA"], audience="nexus", issuer="nexus")
    assert (claims["sub"], claims["roles"]) == ("ada", ["organizer"])
    expired = tokens.sign(made.auth_private_pem, "ada", hours=-1)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(expired, made.auth_public_pem.read_bytes(), ["EdDSA"], audience="nexus", issuer="nexus")


def test_free_ports_are_all_different() -> None:
    """And each component's are among them."""
    ports = Ports.free()
    numbers = [getattr(ports, name) for name in ports.__struct_fields__]
    assert len(set(numbers)) == len(numbers)
    assert ports.of("ticket") == {"ticket_port": ports.ticket_port, "ticket_metrics_port": ports.ticket_metrics_port}


def test_a_taken_port_is_named_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    """Nothing is started, and the text says what to set."""
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        assert is_taken(taken)
        stack = LocalStack(tmp_path, Ports.read({variable("mail_http_port"): str(taken), variable("mail_port"): "0"}))
        with pytest.raises(StackError, match=f"port {taken} .*NEXUS_MAIL_HTTP_PORT"):
            stack.start("mail-sink")
        assert stack.processes.record("mail-sink") is None


def test_a_home_remembers_its_ports(tmp_path: Path) -> None:
    """A variable goes before them, an empty one does not; a broken file is as none."""
    assert Ports.chosen(tmp_path, {}) == Ports()
    ports = Ports.free()
    ports.keep(tmp_path)
    assert Ports.chosen(tmp_path, {variable("http_port"): ""}) == ports
    moved = Ports.chosen(tmp_path, {variable("http_port"): "8000"})
    assert (moved.http_port, moved.grpc_port) == (8000, ports.grpc_port)
    (tmp_path / "run" / "ports.json").write_text("{")
    assert Ports.chosen(tmp_path, {}) == Ports()


def test_what_runs_is_not_stopped_for_a_port_that_is_taken(tmp_path: Path) -> None:
    """Its own port, which it keeps, does not count; once the other is free it moves."""
    stack = LocalStack(tmp_path, Ports.free())
    try:
        stack.restart("mail-sink")
        before = stack.processes.record("mail-sink")
        with socket.socket() as squatter:
            squatter.bind(("127.0.0.1", stack.ports.http_port))
            squatter.listen()
            moved = msgspec.structs.replace(stack.ports, mail_http_port=stack.ports.http_port)
            stack.ports = moved
            with pytest.raises(StackError, match="NEXUS_MAIL_HTTP_PORT"):
                stack.start("mail-sink")
            assert stack.processes.record("mail-sink") == before
        assert stack.start("mail-sink")
        stack.wait_ready("mail-sink")
    finally:
        stack.stop("mail-sink")


def test_what_was_found_running_and_ends_is_started_again_once(tmp_path: Path) -> None:
    """As a component does that drains while `up` runs."""
    stack = LocalStack(tmp_path, Ports.free())
    try:
        stack.restart("mail-sink")
        assert not stack.start("mail-sink")
        stack.kill("mail-sink")
        stack.wait_ready("mail-sink")
        assert stack.processes.record("mail-sink") is not None
        stack.kill("mail-sink")
        with pytest.raises(StackError, match="ended right away"):
            stack.wait_ready("mail-sink")
    finally:
        stack.stop("mail-sink")


def test_a_process_is_stopped_with_its_whole_group(tmp_path: Path) -> None:
    """Also a child that it has started."""
    processes = Processes(tmp_path)
    parent = f"import subprocess, sys; p = subprocess.Popen({SLEEPER!r}); print(p.pid, flush=True); p.wait()"
    processes.start("one", [sys.executable, "-c", parent], os.environ)
    while not processes.tail("one"):
        assert processes.record("one") is not None
    child = int(processes.tail("one"))
    assert birth(child) is not None
    assert processes.stop(["one"], 10) == ["one"]
    assert birth(child) is None
    assert processes.record("one") is None
    assert processes.stop(["one"], 10) == []


def test_a_recycled_process_id_is_never_signalled(tmp_path: Path) -> None:
    """The record holds the process's start time; another process under the same id is not ours."""
    processes = Processes(tmp_path)
    innocent = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        processes.run.mkdir()
        record = {"pid": innocent.pid, "born": "1", "settings": "", "started_at": 0.0}
        (processes.run / "one.json").write_text(json.dumps(record))
        assert processes.record("one") is None
        assert not processes.signal("one", signal.SIGKILL)
        assert processes.stop(["one"], 1) == []
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_the_hash_of_code_changes_with_the_code_alone(tmp_path: Path) -> None:
    """Not with caches or file times; with a template as with a module."""
    folder = tmp_path / "endpoint"
    (folder / "templates").mkdir(parents=True)
    (folder / "app.py").write_text("SERVICES = []")
    before = code_hash(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.pyc").write_bytes(b"x")
    os.utime(folder / "app.py", (0, 0))
    assert code_hash(folder) == before
    (folder / "templates" / "mail.txt").write_text("hello")
    changed = code_hash(folder)
    assert changed != before
    (folder / "app.py").write_text("SERVICES = [1]")
    assert code_hash(folder) not in (before, changed)
