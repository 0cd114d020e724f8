"""From a URL to the store it names."""

from __future__ import annotations

import importlib
from urllib.parse import urlsplit

from gristmill.errors import ConfigurationError
from gristmill.queue.store import Store

_KINDS = {
    "sqlite": ("gristmill.queue.sqlite.store", "SqliteStore", "sqlite"),
    "postgresql": ("gristmill.queue.postgres.store", "PostgresStore", "postgres"),
    "postgres": ("gristmill.queue.postgres.store", "PostgresStore", "postgres"),
    "redis": ("gristmill.queue.redis.store", "RedisStore", "redis"),
    "rediss": ("gristmill.queue.redis.store", "RedisStore", "redis"),
    "memory": ("gristmill.queue.memory.store", "MemoryStore", ""),
}


def store_from(url: str) -> Store:
    """Return the store that *url* names; nothing is connected before its ``open``.

    ``sqlite:///relative/path``, ``sqlite:////absolute/path``,
    ``postgresql://user:password@host:port/database`` (also
    ``postgresql:///database?host=/socket/folder``), ``redis://host:port/0``,
    ``rediss://...``, or ``memory://`` for tests.

    Raises:
        ConfigurationError: No such kind of store, or its package is not installed; the message says which.
    """
    scheme = urlsplit(check_url(url)).scheme
    module, name, extra = _KINDS[scheme]
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{scheme} stores need the package {error.name}: pip install 'gristmill[{extra}]'"
        ) from error
    store: Store = found() if scheme == "memory" else found(url)
    return store


def check_url(url: str) -> str:
    """Return *url*; raises ``ConfigurationError`` if it names no kind of store."""
    if urlsplit(url).scheme not in _KINDS:
        raise ConfigurationError(
            "a store is sqlite:///file, postgresql://..., redis://..., rediss://... or memory://, "
            f"not {_shown(url)}"
        )
    return url


def _shown(url: str) -> str:
    return repr(without_password(url)) if "://" in url else repr(url)


def without_password(url: str) -> str:
    """Return *url* as it may be logged and shown.

    >>> without_password("redis://me:secret@host:6379/0")
    'redis://me:***@host:6379/0'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}").geturl()
