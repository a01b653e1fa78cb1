"""What can go wrong at the terminal. Light, so that a short command need not load the long ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

REFUSED: Final = 1
UNREACHABLE: Final = 3
NOT_SIGNED_IN: Final = 4
UNKNOWN_OUTCOME: Final = 5
FOUND: Final = 6
"""What was asked for was found, and is bad: damage by an audit, something stuck by the doctor."""


class StackError(Exception):
    """The stack cannot be started or used. The text is for the person at the terminal."""


class CallError(Exception):
    """A call that cannot be made or was refused. The text is one line for the terminal."""

    exit_code = REFUSED


class GatewayError(CallError):
    """A call without a good answer. `reason`: the refusal's; `exit_code`: what the command ends with."""

    def __init__(
        self, text: str, exit_code: int = REFUSED, reason: str = "", details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.reason = reason
        self.details = dict(details or {})


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file: where it is and what was expected there."""

    place: str
    expected: str

    def __str__(self) -> str:
        return f"{self.place}: {self.expected}" if self.place else self.expected


class FileError(Exception):
    """A file that cannot be used. `problems`: the first mistakes in it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = list(problems)
        super().__init__(f"{name}: {'; '.join(map(str, problems))}")
