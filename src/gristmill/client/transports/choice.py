"""Which transport is used when none was given."""

from __future__ import annotations

from importlib.util import find_spec

from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport
from gristmill.client.transports.protocol import Transport
from gristmill.errors import ConfigurationError


def default_transport() -> Transport:
    """Return a transport over what is installed: aiohttp, which costs least, else httpx2.

    Raises:
        ConfigurationError: Neither is installed.
    """
    if find_spec("aiohttp") is not None:
        return AiohttpTransport()
    if find_spec("httpx2") is not None:
        return Httpx2Transport()
    raise ConfigurationError("a client needs aiohttp or httpx2: pip install 'gristmill[client]'")
