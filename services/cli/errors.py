"""What can go wrong at the terminal. Light, so that a short command need not load the long ones."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot be started or used. The text is for the person at the terminal."""


class CallError(Exception):
    """A call that cannot be made or was refused. The text is one line for the terminal."""
