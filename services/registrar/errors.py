"""What can go wrong with a registration."""

from __future__ import annotations


class RegistrationError(Exception):
    """Something is not registered as it should be. The text says what to do."""


class AdminError(RegistrationError):
    """Restate cannot be reached, or refuses. The text is Restate's own where it gave one."""
