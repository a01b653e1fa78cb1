"""The two modes of the integration tests: normal, and with every await of a handler suspended and replayed."""

from __future__ import annotations

import os

import pytest

IS_SUSPENDED = os.environ.get("NEXUS_TEST_MODE") == "suspended"


def normal_mode_only(about: str) -> pytest.MarkDecorator:
    """Mark tests of which the other mode would tell nothing new. `about`: what they are about, no handler's await."""
    return pytest.mark.skipif(IS_SUSPENDED, reason=f"about {about}, which suspended handlers do not change")
