"""GRPC and HTTP doors in front of Restate."""

import os

# Read when grpc is imported. Else each handshake that fails is a line that is no JSON, and anybody can cause them.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
