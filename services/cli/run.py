"""`nexus run COMPONENT`: becomes one of the server processes."""

from __future__ import annotations

import importlib
import os
from typing import Final

from services.common.config import DEFAULT_PORTS, ENDPOINTS, load_or_exit, refuse_start

SIMULATORS: Final = {"payment-simulator": "simulators.payments", "mail-sink": "simulators.mailsink"}
"""Named, not imported: services never depend on the simulators."""

COMPONENTS: Final = tuple(DEFAULT_PORTS)


def run_component(component: str) -> None:
    """Serve as the component until SIGTERM. Ends with code 2 where it or its settings are unknown."""
    if component in SIMULATORS:
        module = importlib.import_module(SIMULATORS[component])
        module.main(load_or_exit(module.Settings, os.environ))
    elif component in ("gateway", "ops"):
        importlib.import_module(f"services.{component}.app").main()
    elif component in ENDPOINTS:
        from services.common import endpoint

        endpoint.run(component, f"services.{component}.app", os.environ)
    else:
        refuse_start(f"there is no component {component}; choose from {', '.join(COMPONENTS)}")
