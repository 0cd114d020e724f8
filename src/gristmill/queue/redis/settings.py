"""What a URL says of a store in Redis or Valkey."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from gristmill.errors import ConfigurationError
from gristmill.queue.url import without_password

_OURS = ("prefix", "timeout", "unsafe", "wait")
_DATABASE = re.compile(r"(?:/[0-9]*)?")
_TIMEOUT = 10.0  # seconds: more than a server takes that saves, less than people do


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the server is, and what is asked of it.

    Attributes:
        url: What it was told by, for people: without the password.
        prefix: Begins every key. Stores of different prefixes know nothing of each other.
        timeout: Seconds to wait for an answer; for a connection, half of them.
        is_unsafe: Whether a server that may lose jobs is taken all the same.
        waits_for_file: Whether an enqueue is acknowledged only when the append-only file is on disk.
        connection: How to connect, as redis-py wants it.
    """

    url: str
    prefix: str
    timeout: float
    is_unsafe: bool
    waits_for_file: bool
    connection: Mapping[str, Any] = field(repr=False)

    @property
    def root(self) -> str:
        """What every key begins with. Its hash tag keeps all keys in one slot of a cluster."""
        return f"{{{self.prefix}}}:"


def settings_from(url: str) -> Settings:
    """Read ``redis://[user:password@]host:port/db[?prefix=gm&timeout=10&wait=aof&unsafe=true]``, or ``rediss://``.

    Over TLS, the options of redis-py whose names begin with ``ssl_`` may stand beside ours.

    Raises:
        ConfigurationError: An option that is unknown, or a value that it does not take.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    ours = {name: options.pop(name) for name in _OURS if name in options}
    for name in options:
        if not (name.startswith("ssl_") and parts.scheme == "rediss"):
            raise ConfigurationError(f"a redis store takes the options {', '.join(_OURS)}, not {name!r}")
    prefix = ours.get("prefix", "gm")
    if not prefix or set(prefix) & set("{}"):
        raise ConfigurationError(f"prefix is one character or more, without braces, not {prefix!r}")
    if ours.get("unsafe", "false") not in ("true", "false"):
        raise ConfigurationError(f"unsafe is true or false, not {ours['unsafe']!r}")
    if ours.get("wait", "aof") != "aof":
        raise ConfigurationError(f"wait is aof, or left out, not {ours['wait']!r}")
    if not _DATABASE.fullmatch(parts.path):
        raise ConfigurationError(
            f"{without_password(url)} does not end with the number of a database: redis://host:port/0"
        )
    timeout = _seconds(ours.get("timeout", str(_TIMEOUT)))
    try:
        connection = parse_url(parts._replace(query=urlencode(options)).geturl())
    except ValueError as error:
        raise ConfigurationError(
            f"{without_password(url)} is not the URL of a redis store: {error}"
        ) from error
    return Settings(
        url=without_password(url),
        prefix=prefix,
        timeout=timeout,
        is_unsafe=ours.get("unsafe") == "true",
        waits_for_file="wait" in ours,
        connection=connection,
    )


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < math.inf:
        raise ConfigurationError(f"timeout is a number of seconds above 0, not {text!r}")
    return found
