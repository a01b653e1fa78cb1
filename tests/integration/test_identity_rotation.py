"""Restate's identity key is rotated under load: the endpoint is not restarted and refuses no call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from services.cli import keys
from tests.integration.modes import normal_mode_only
from tests.integration.scratch import ScratchStack

pytestmark = normal_mode_only("the signatures of calls")

CALLERS = 4


class Rotation:
    """A scratch endpoint that follows a file of keys, mounted as Kubernetes does, and a Restate that signs for it."""

    def __init__(self, folder: Path) -> None:
        self.scratch = ScratchStack(folder)
        self.stack = self.scratch.stack
        self.old = self.stack.keys.identity_public
        self.other = keys.ensure(folder / "other")
        self.new = self.other.identity_public
        self.mount = folder / "mount"
        self.mount.mkdir()
        (self.mount / "identity-keys").symlink_to("..data/identity-keys")
        self.versions = 0

    def write(self, content: str) -> None:
        """Replace the file as the kubelet does: a new folder, and a symlink that is swapped."""
        self.versions += 1
        version = self.mount / f"..{self.versions}"
        version.mkdir()
        (version / "identity-keys").write_text(content)
        draft = self.mount / "..data_tmp"
        draft.symlink_to(version.name)
        draft.replace(self.mount / "..data")

    def start(self, server: str) -> None:
        """Start Restate with the old key, and the endpoint with the file."""
        self.stack.start("restate")
        self.stack.wait_ready("restate")
        file = str(self.mount / "identity-keys")
        self.scratch.start(NEXUS_SERVER=server, NEXUS_IDENTITY_KEYS="", NEXUS_IDENTITY_KEYS_FILE=file)

    def restart_restate(self, pem: Path) -> None:
        """Let Restate sign with this key."""
        self.stack.overrides["restate"] = {"RESTATE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": str(pem)}
        self.stack.restart("restate")

    async def accepted(self) -> str:
        """Give the keys that the endpoint says it accepts."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.scratch.url}/health") as answer:
            return answer.headers["x-nexus-identity"]

    async def accepts(self, *public_keys: str) -> None:
        """Wait until the endpoint accepts exactly these keys."""

        async def does() -> bool:
            return await self.accepted() == ",".join(public_keys)

        await until(does, f"{len(public_keys)} accepted keys")

    async def unsigned(self) -> int:
        """Count the calls that the endpoint has answered with 401."""
        url = f"http://127.0.0.1:{self.stack.ports.ticket_metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            lines = (await answer.text()).splitlines()
        return round(float(next(line.split()[1] for line in lines if line.startswith("nexus_unsigned_calls_total"))))

    def refusals_in_log(self) -> int:
        """Count the lines in which Restate complains of a 401."""
        return sum(
            "401 Unauthorized" in line for line in self.stack.processes.log_file("restate").read_text().splitlines()
        )

    @asynccontextmanager
    async def load(self) -> AsyncIterator[list[str]]:
        """Call without a pause; gives the answers so far. A Restate that is away is asked again."""
        answers: list[str] = []
        is_over = asyncio.Event()

        async def caller(key: str) -> None:
            while not is_over.is_set():
                try:
                    answers.append(await self.scratch.call("version", key=key))
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(caller(f"k{number}")) for number in range(CALLERS)]
        yield answers
        is_over.set()
        await asyncio.gather(*tasks)


async def until(check: Callable[[], Awaitable[bool]], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.05)


async def more(answers: list[str], count: int = 50) -> None:
    """Wait for so many answers more."""
    wanted = len(answers) + count

    async def are_there() -> bool:
        return len(answers) >= wanted

    await until(are_there, f"{count} more answers")


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
async def test_a_key_is_rotated_without_a_refused_call(tmp_path: Path, server: str) -> None:
    """Both keys in the file, Restate restarted with the new one, the old one dropped: no 401, no endpoint restarted.

    A call that waits across both changes of the file ends as it should. Then the control: a key that is dropped too
    early does refuse calls, and both counts see it.
    """
    rotation = Rotation(tmp_path)
    scratch, old, new = rotation.scratch, rotation.old, rotation.new
    rotation.write(old)
    try:
        await asyncio.to_thread(rotation.start, server)
        await scratch.register()
        assert await rotation.accepted() == old
        process = scratch.group()
        async with rotation.load() as answers:
            await more(answers)
            slow = asyncio.create_task(scratch.call("slow", 4.0, key="slow"))
            await until(lambda: asyncio.to_thread(lambda: "begin" in scratch.trace()), "the slow step")
            rotation.write(f"{new}\n{old}\n")
            await rotation.accepts(new, old)
            await more(answers)
            rotation.write("")
            rotation.write(f"{old},{new}")
            await rotation.accepts(old, new)
            assert await slow == "one"
            assert scratch.trace().count("begin") == 1, "the step in flight was not repeated"
            await asyncio.to_thread(rotation.restart_restate, rotation.other.identity_pem)
            await more(answers)
            rotation.write(new)
            await rotation.accepts(new)
            await more(answers)
            assert await rotation.unsigned() == 0
            assert rotation.refusals_in_log() == 0
            assert set(answers) == {"one"}
            # The control.
            rotation.write(old)
            await rotation.accepts(old)
            await until(lambda: asyncio.to_thread(lambda: rotation.refusals_in_log() > 0), "a refusal")
            assert await rotation.unsigned() > 0
            rotation.write(new)
            await rotation.accepts(new)
            await more(answers)
        assert scratch.group() == process
        log = rotation.stack.processes.log_file("ticket").read_text()
        assert "identity keys replaced" in log
        assert old not in log
    finally:
        await asyncio.to_thread(rotation.stack.stop_all)


async def test_a_broken_file_keeps_the_old_keys(tmp_path: Path) -> None:
    """Empty, invalid or gone: an error in the log, calls are served as before, and unsigned ones are still refused."""
    rotation = Rotation(tmp_path)
    scratch, old = rotation.scratch, rotation.old
    rotation.write(old)
    log = rotation.stack.processes.log_file("ticket")
    try:
        await asyncio.to_thread(rotation.start, "granian")
        await scratch.register()
        for content, why in (("", "found none"), ("hunter2", "begin with publickeyv1_"), (None, "cannot be read")):
            if content is None:
                (rotation.mount / "..data").unlink()
            else:
                rotation.write(content)
            await until(lambda why=why: asyncio.to_thread(lambda: why in log.read_text()), why)
            assert await rotation.accepted() == old
            assert await scratch.call("version") == "one"
            async with aiohttp.ClientSession() as session:
                url = f"{scratch.url}/invoke/Scratch/version"
                async with session.post(url, data=b"{}") as answer:
                    assert answer.status == 401
        lines = [line for line in log.read_text().splitlines() if '"level":"error"' in line]
        assert len(lines) == 3, lines
        assert "hunter2" not in log.read_text()
    finally:
        await asyncio.to_thread(rotation.stack.stop_all)
