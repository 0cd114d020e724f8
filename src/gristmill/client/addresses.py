"""Whether a URL and headers can be sent at all: told when a client is made, and not later. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from gristmill.errors import ConfigurationError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEY = "idempotency-key"
_BLANK = re.compile(r"[\x00-\x20\x7f]")


def split_address(url: str) -> SplitResult | None:
    """Return the parts of an absolute ``http`` or ``https`` URL; None if it is none.

    >>> split_address("http://localhost:8000/v1").port
    8000
    >>> split_address("http://localhost:99999") is None
    True
    """
    if _BLANK.search(url):  # urlsplit drops some, and keeps others
        return None
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        port = parts.port
    except ValueError:  # UnicodeError of a host name too
        return None
    good = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return parts if good else None


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """Return *url* without the name and password in it, which errors would show, and a header of them.

    >>> without_login("http://ada:secret@host/v1")
    ('http://host/v1', {'authorization': 'Basic YWRhOnNlY3JldA=='})
    >>> without_login("http://host/v1")
    ('http://host/v1', {})
    """
    parts = split_address(url)
    if parts is None or "@" not in parts.netloc:
        return url, {}
    login, _, place = parts.netloc.rpartition("@")
    name, _, password = login.partition(":")
    plain = f"{unquote(name)}:{unquote(password)}".encode()
    basic = base64.b64encode(plain).decode()
    return parts._replace(netloc=place).geturl(), {"authorization": f"Basic {basic}"}


def checked_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return *headers* as they go out, by name in lower case.

    Raises:
        ConfigurationError: A name or a value cannot stand in a request.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ConfigurationError(f"{name!r} is no name of a header")
        if not isinstance(value, str) or not value.isascii() or not value.replace("\t", " ").isprintable():
            # The value is not shown: it may be a secret.
            raise ConfigurationError(f"the header {name} must be a text of one line in ASCII")
    found = {name.lower(): value for name, value in headers.items()}
    if _KEY in found:
        raise ConfigurationError(f"{_KEY} is no header of all requests: each has a key of its own")
    return found
