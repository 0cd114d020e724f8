"""The exporter of the extra ``telemetry``, or None where that is not installed."""

from __future__ import annotations

try:
    from gristmill.telemetry.prometheus import exposition as _exposition
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("prometheus_client"):
        raise
    exposition = None
else:
    exposition = _exposition
