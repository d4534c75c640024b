"""The names under which requests reach the servers on this machine.

A page in a browser can make its own name resolve to 127.0.0.1, and then send requests to a server here as if they were
requests to itself. Their `Host` header still has the page's name, so every server refuses names that are not its own.
"""

import re
from collections.abc import Collection

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_DEFAULT_PORT = 80
"Of a URL without a port."

MISDIRECTED = 421
"The status for a request to another name (RFC 9110, 15.5.20)."
REFUSAL = b"This server does not answer requests to that host name."


def is_own(host: str, port: int, further: Collection[str] = ()) -> bool:
    """Whether a `Host` header names this server.

    Args:
        port: the port of the server.
        further: names that lead here by another way, such as a tunnel, from any port.
    """
    own = {f"{name}:{port}" for name in LOOPBACK} | ({*LOOPBACK} if port == _DEFAULT_PORT else set())
    name = re.sub(r":[0-9]+$", "", host.lower())
    return host.lower() in own or name in {each.lower() for each in further}
