"""What ``gristmill serve`` prints when it is ready: where everything is, and one line to try it."""

from __future__ import annotations

import ipaddress
import json
import shlex
from importlib.metadata import version

from gristmill.app import App
from gristmill.http.schemas import example_of, item_schema


def banner(app: App, host: str, port: int) -> str:
    """Return the lines that tell people where *app* listens and how to call it."""
    address = ipaddress.ip_address(host)
    reachable = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else host
    base = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    lines = [f"gristmill {version('gristmill')} serves {base}"]
    ways = ".../batch and .../stream" if app.store_url is None else ".../batch, .../stream and .../jobs"
    lines += [f"  POST {app.prefix}/{one.name}, also {ways}" for one in app.handlers]
    if app.store_url is not None:
        worked = "worked here" if app.works else "worked by gristmill work"
        lines.append(f"  Jobs {base}{app.prefix}/jobs in {app.store_url}, {worked}")
    if app.docs:
        lines.append(f"  Docs {base}/docs")
    if app.handlers:
        first = app.handlers[0]
        example = json.dumps(example_of(*item_schema(first.item_type)))
        command = f"curl {base}{app.prefix}/{first.name} -H 'Content-Type: application/json'"
        lines += ["Try it:", f"  {command} -d {shlex.quote(example)}"]
    if not address.is_loopback:
        lines.append("Anyone who can reach this address can call it: there is no authentication.")
        if not app.docs:
            lines.append("/metrics and /docs are not served here; --inner-pages does.")
    return "\n".join(lines)
