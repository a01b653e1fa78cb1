"""Serves an endpoint as the benchmark needs it: in several processes, or without a mail server.

    python -m bench.serving checkout [--processes 2] [--no-mail]

No product has either: several processes of one endpoint are pods in a cluster, and mail is part of a sale. Without
mail the invocation of Mailer still runs and writes the mail; only the handing over is left out.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from granian.server import Server as Granian

from services.common import endpoint
from services.common.config import ENDPOINTS


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("component", choices=ENDPOINTS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--no-mail", action="store_true")
    given = parser.parse_args()
    environ = dict(os.environ)
    if given.processes > 1:
        # They would all want the same one.
        environ["NEXUS_METRICS_PORT"] = "0"

        def several(*more: Any, **named: Any) -> Any:
            return Granian(*more, **{**named, "workers": given.processes})

        setattr(endpoint, "Granian", several)  # noqa: B010 - of the process, for this run; mypy would not have it
    if given.no_mail:
        from services.checkout import mail

        mail.send = _nowhere
    endpoint.run(given.component, f"services.{given.component}.app", environ)


async def _nowhere(*_: object, **__: object) -> None:
    """Take a mail, whatever else comes with it, and hand it to nobody."""


if __name__ == "__main__":
    main()
