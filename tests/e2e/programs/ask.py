"""One HTTP request from where the driver stands: told `method`, `url`, `body`; prints `status` and `answer`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp


async def ask(told: dict[str, Any]) -> dict[str, Any]:
    """Send it and read the whole answer, as JSON where it is some."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(told["method"], told["url"], json=told.get("body")) as answer,
    ):
        text = await answer.text()
    try:
        return {"status": answer.status, "answer": json.loads(text)}
    except json.JSONDecodeError:
        return {"status": answer.status, "answer": text}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(json.loads(sys.stdin.readline())))))
