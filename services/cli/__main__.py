"""`python -m services.cli`: the same as `nexus`."""

from __future__ import annotations

import sys

from services.cli.run import run_component

# A server process needs nothing of the command line's libraries; without them it starts faster and smaller.
if len(sys.argv) == 3 and sys.argv[1] == "run" and not sys.argv[2].startswith("-"):  # noqa: PLR2004 - `run COMPONENT`
    run_component(sys.argv[2])
else:
    from services.cli.main import main

    main()
