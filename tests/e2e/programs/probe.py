"""Tries to connect to each `host:port` told on the command line; prints as JSON which of them could be reached.

Also run from its text alone (`python -c`) in pods that do not have the test suite: standard library only.
"""

import json
import socket
import sys

SECONDS = 2.0


def can_reach(address: str) -> bool:
    """Tell whether a TCP connection comes about. A name that does not resolve is a mistake of the test."""
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4]
    try:
        socket.create_connection(found[:2], timeout=SECONDS).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps({address: can_reach(address) for address in sys.argv[1:]}))
