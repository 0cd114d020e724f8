"""The files of the docs page, which draws ``openapi.json`` and lets people try the routes.

No build, no network: they lie in the package. The page belongs at ``<mount>/docs``
without a slash at its end, its assets at ``<mount>/docs/<name>`` and the
document at ``<mount>/openapi.json``; all of its links are relative.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

DOCS_PAGE: Final = "page.html"

_TYPES: Final = {
    DOCS_PAGE: "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "try.js": "text/javascript; charset=utf-8",
    "page.svg": "image/svg+xml",
}

DOCS_ASSETS: Final = frozenset(_TYPES) - {DOCS_PAGE}
"""Names that the page asks for below ``docs/``."""

DOCS_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "object-src 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
)
"""What every answer with one of these files must carry."""


@cache
def docs_asset(name: str) -> tuple[str, bytes]:
    """Return the media type and the content of one file of the page; read once.

    Raises:
        KeyError: There is no file *name*; only the names of this module are
            ever looked up on the disk.
    """
    content_type = _TYPES[name]
    return content_type, (resources.files("gristmill.http") / "docs" / name).read_bytes()
