"""Asks an endpoint what it runs, before Restate is told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from services.common import code
from services.common.code import code_hash
from services.registrar.errors import NotAnsweringError, RegistrationError

HEALTH_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1
_CALL_SECONDS: Final = 5


class EndpointAt(msgspec.Struct, frozen=True):
    """An endpoint to register.

    `url`: what Restate is told, without the path. `folder`: its code on this machine, None in a cluster, where
    images may differ and the process alone knows. `health_url`: where it is asked, if not at `url`.
    `version`: its version in the cluster, the hash of its pod template.
    """

    name: str
    url: str
    folder: Path | None = None
    health_url: str = ""
    version: str = ""


async def running_code(endpoint: EndpointAt, seconds: float = HEALTH_SECONDS) -> str:
    """Wait until an endpoint answers and give the hash of the code it runs.

    Raises NotAnsweringError where it does not answer in time or is no endpoint of ours, RegistrationError
    where it runs other code than the files here: its address would lie.
    """
    running = await _health(endpoint, seconds)
    if endpoint.folder is None:
        return running
    here = code_hash(endpoint.folder)
    if running != here:
        raise RegistrationError(
            f"{endpoint.name}: the process at {endpoint.url} runs other code ({running}) than the files here ({here}): "
            "restart it (make up does)"
        )
    return running


async def running_codes(
    endpoints: Sequence[EndpointAt], seconds: float, explain: Callable[[str], str] = lambda _: ""
) -> list[str]:
    """Ask all endpoints side by side. Raises for all that are at fault at once, in one text.

    `explain`: what else is known of an endpoint, by its name, where it does not answer.
    """
    answers = await asyncio.gather(*(running_code(item, seconds) for item in endpoints), return_exceptions=True)
    faults = []
    for item in answers:
        if isinstance(item, NotAnsweringError):
            faults.append(f"{item}{explain(item.endpoint)}")
        elif isinstance(item, RegistrationError):
            faults.append(str(item))
        elif isinstance(item, BaseException):
            raise item
    if faults:
        raise RegistrationError("; ".join(faults))
    return [str(item) for item in answers]


async def _health(endpoint: EndpointAt, seconds: float) -> str:
    url = f"{(endpoint.health_url or endpoint.url).rstrip('/')}/health"
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS)) as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.ok:
                        running = answer.headers.get(code.HEADER, "")
                        if running:
                            return running
                        raise NotAnsweringError(endpoint.name, f"{endpoint.name}: {url} is answered by something else")
                    problem = f"status {answer.status}"
            except aiohttp.ClientConnectorError as error:
                problem = error.strerror or str(error)
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() > deadline:
                raise NotAnsweringError(
                    endpoint.name, f"{endpoint.name}: {url} did not answer within {seconds:.0f} s ({problem})"
                )
            await asyncio.sleep(POLL_SECONDS)
