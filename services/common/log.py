"""Logs: one JSON object per line on stderr, with time, level, event and component; nothing secret.

No Restate here: `services.common.endpoint` adds what an invocation knows of itself.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SECRET_NAME: Final = re.compile(
    r"secret|passw|token|authori[sz]ation|cookie|api_?key|private|seal|identity_key|subject_key"
    r"|e_?mail|recipient|address(?!_family)|payment_method|card",
    re.IGNORECASE,
)
"""Names of values that no log may show."""

ADDRESS: Final = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
BEARER: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?i:bearer)\s+\S+")
HIDDEN: Final = "[hidden]"

LEADING: Final = ("time", "level", "component", "event")
"""What a line begins with, for those who read it unformatted."""

_DEEPEST: Final = 5


def configure(
    component: str, level: str = "INFO", processors: Sequence[Processor] = (), filters: Sequence[Processor] = ()
) -> None:
    """Send structlog's and the standard library's logs through one chain.

    `processors` run first and add what a line is about. `filters` run before them and may drop a line of
    our own; a library's lines are never dropped.
    """

    def add_component(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["component"] = component
        return event

    chain: list[Processor] = [
        *filters,
        *processors,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_component,
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    threshold = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    foreign: list[Processor] = [structlog.stdlib.add_logger_name, *chain[len(filters) :]]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=foreign,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.INFO), force=True)
    logging.captureWarnings(capture=True)
    # One line per outgoing request is noise at this level.
    for chatty in ("aiohttp.access", "hypercorn.access", "asyncio", "mail.log"):
        logging.getLogger(chatty).setLevel(max(threshold, logging.WARNING))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide values whose name or form says that they are secret or personal."""
    return _clean_mapping(event, 0)


def _clean_mapping(mapping: MutableMapping[str, Any], depth: int) -> dict[str, Any]:
    # Protocol-like names of structlog itself begin with an underscore.
    return {
        name: value if name.startswith("_") else HIDDEN if SECRET_NAME.search(name) else _clean(value, depth)
        for name, value in mapping.items()
    }


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return BEARER.sub(HIDDEN, ADDRESS.sub(HIDDEN, value)) if "@" in value or "e" in value else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEEPEST:
        return HIDDEN
    if isinstance(value, MutableMapping):
        return _clean_mapping(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    # Whatever else prints itself is cleaned as text.
    return _clean(str(value), depth)


def _to_json(event: dict[str, Any], **_options: Any) -> str:
    ordered = {name: event.pop(name) for name in LEADING if name in event} | event
    return msgspec.json.encode(ordered, enc_hook=str).decode()
