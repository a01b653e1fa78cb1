"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: what an example may take at most is asked where speed is the matter.
settings.register_profile("nexus", deadline=None)
settings.load_profile("nexus")
