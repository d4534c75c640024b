"""HTTP/1.1 over real sockets, with faults on demand. Every site of the sandbox is served by it.

A site answers requests. A server transports them, keeps connections alive, and simulates each `Fault`. It is
the server of the standard library because faults need the socket: a server behind WSGI cannot reset a connection, cut
a stream or send slowly.
"""

from local.sandbox.wire.bodies import BLOCK_BYTES, Body, StreamBody
from local.sandbox.wire.faults import Fault, Sender
from local.sandbox.wire.messages import Exchange, Request, Response, Site
from local.sandbox.wire.server import Server

__all__ = ["BLOCK_BYTES", "Body", "Exchange", "Fault", "Request", "Response", "Sender", "Server", "Site", "StreamBody"]
