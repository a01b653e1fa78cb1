"""Settings of a process: one frozen object from NEXUS_ environment variables, or one clear refusal.

A field `mail_host` is read from NEXUS_MAIL_HOST. A list takes comma-separated values. Values never
appear in an error, so that a mistyped secret is not printed.
"""

from __future__ import annotations

import enum
import sys
import typing
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Literal, NoReturn, ParamSpec, TypeVar

import msgspec

PREFIX: Final = "NEXUS_"
USAGE_ERROR: Final = 2
"""Exit code of a process that cannot start with its settings."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
OtlpEndpoint = Annotated[
    str, msgspec.Meta(pattern=r"^(https?://[^/].*)?$", description="beginning with http:// or https://")
]
"""Address of an OTLP/HTTP receiver without `/v1/traces`, as in `http://127.0.0.1:4318`; empty: no traces."""

Settings = TypeVar("Settings", bound=msgspec.Struct)
Given = ParamSpec("Given")
Checked = TypeVar("Checked")

DEFAULT_PORTS: Final[Mapping[str, tuple[int, int]]] = {
    "ticket": (9081, 9181),
    "seatmap": (9082, 9182),
    "checkout": (9083, 9183),
    "gateway": (8000, 9184),
    "ops": (8001, 9185),
    "payment-simulator": (8901, 0),
    "mail-sink": (8902, 0),
}
"""Port and metrics port of each component, where nothing else is set."""

ENDPOINTS: Final = ("ticket", "seatmap", "checkout")
"""The components that Restate calls; each is registered by itself."""


class Secret:
    """A text that no repr, format or log shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __repr__(self) -> str:
        """Hide the text."""
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        """Compare by text."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Hash by text."""
        return hash(self._text)


class ConfigError(Exception):
    """Settings are missing or wrong. `problems` maps each variable to what was expected."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{variable}: {expected}" for variable, expected in problems.items()))
        self.problems = dict(problems)


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What each of the three endpoints is told; see README.md, "Settings"."""

    port: Port
    metrics_port: Port
    host: str = "127.0.0.1"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    identity_keys: tuple[str, ...] = ()
    identity_keys_file: str = ""
    server: Literal["granian", "hypercorn"] = "granian"
    otlp_endpoint: OtlpEndpoint = ""


def load(
    settings_type: type[Settings], environ: Mapping[str, str], defaults: Mapping[str, object] | None = None
) -> Settings:
    """Read settings from the environment.

    `defaults` go before the type's own. An empty variable counts as not set.
    Raises ConfigError that names every variable at fault.
    """
    values: dict[str, object] = {}
    problems: dict[str, str] = {}
    for field in msgspec.structs.fields(settings_type):
        variable = PREFIX + field.name.upper()
        text = environ.get(variable, "")
        if text == "":
            if defaults is not None and field.name in defaults:
                values[field.name] = defaults[field.name]
            elif field.required:
                problems[variable] = f"is required: {_expected(field.type)}"
            continue
        try:
            values[field.name] = msgspec.convert(_raw(text, field.type), field.type, strict=False, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError):
            # The library's own text may quote the value.
            problems[variable] = f"expected {_expected(field.type)}"
    if problems:
        raise ConfigError(problems)
    return settings_type(**values)


def load_or_exit(
    settings_type: type[Settings], environ: Mapping[str, str], defaults: Mapping[str, object] | None = None
) -> Settings:
    """Read settings, or end the process with code 2 and one line per variable at fault."""
    return valid_or_exit(load, settings_type, environ, defaults)


def valid_or_exit(check: Callable[Given, Checked], *given: Given.args, **named: Given.kwargs) -> Checked:
    """Give what a check of settings gives, or end the process with code 2 and one line per variable at fault."""
    try:
        return check(*given, **named)
    except ConfigError as error:
        refuse_start(*(f"{variable}: {expected}" for variable, expected in error.problems.items()))


def refuse_start(*reasons: str) -> NoReturn:
    """End the process with code 2 and one line per reason on stderr."""
    for reason in reasons:
        sys.stderr.write(f"nexus: cannot start: {reason}\n")
    raise SystemExit(USAGE_ERROR)


def _raw(text: str, type_: Any) -> object:
    if typing.get_origin(_bare(type_)) in (list, tuple, set, frozenset):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _bare(type_: Any) -> Any:
    """Take Annotated and `| None` off."""
    if typing.get_origin(type_) is Annotated:
        return _bare(typing.get_args(type_)[0])
    if isinstance(type_, UnionType) or typing.get_origin(type_) is typing.Union:
        inner = [part for part in typing.get_args(type_) if part is not type(None)]
        return _bare(inner[0]) if len(inner) == 1 else type_
    return type_


def _bounds(type_: Any) -> str:
    texts = []
    for meta in typing.get_args(type_)[1:] if typing.get_origin(type_) is Annotated else ():
        if isinstance(meta, msgspec.Meta):
            texts += [f">= {meta.ge}"] if meta.ge is not None else []
            texts += [f"<= {meta.le}"] if meta.le is not None else []
            texts += [meta.description] if meta.description else []
    return (" " + " and ".join(texts)) if texts else ""


def _expected(type_: Any) -> str:
    """Describe what a variable of this type must hold."""
    bare = _bare(type_)
    if typing.get_origin(bare) is Literal:
        return "one of " + ", ".join(str(value) for value in typing.get_args(bare))
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return "one of " + ", ".join(str(member.value) for member in bare)
    if typing.get_origin(bare) in (list, tuple, set, frozenset):
        return "comma-separated values"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Secret: "a secret text"}
    return names.get(bare, "another form") + _bounds(type_)


def _decode(type_: type, value: Any) -> Any:
    if type_ is Secret:
        return Secret(value)
    raise NotImplementedError(f"settings cannot hold {type_}")
