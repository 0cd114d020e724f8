"""Ports for servers that tests start, in several processes at once."""

from __future__ import annotations

import contextlib
import random
import socket

_RANDOM = random.SystemRandom()  # hypothesis seeds the other one, the same in every process


def free_port() -> int:
    """Return a port that nobody listens on, drawn from those that the system gives to no client.

    A client that asks for a stopped server again and again may be given the server's own port, if that is one
    of the system's; then it talks to itself, and the server cannot start again.
    """
    while True:
        port = _RANDOM.randrange(10_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
