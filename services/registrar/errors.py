"""What can go wrong with a registration."""

from __future__ import annotations


class RegistrationError(Exception):
    """Something is not registered as it should be. The text says what to do."""


class AdminError(RegistrationError):
    """Restate cannot be reached, or refuses. The text is Restate's own where it gave one."""


class NotAnsweringError(RegistrationError):
    """An endpoint does not answer, or something else answers in its place. `endpoint`: its name."""

    def __init__(self, endpoint: str, text: str) -> None:
        super().__init__(text)
        self.endpoint = endpoint


class ClusterError(RegistrationError):
    """Kubernetes cannot be reached, refuses, or does not hold what should be there. `status`: that of its answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status
