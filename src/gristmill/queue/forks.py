"""Whether this is still the process that made something; to ask the system for its number costs more."""

from __future__ import annotations

import os

generation = 0
"""How many forks lie between this process and the one that began; read it as ``forks.generation``."""


def _count() -> None:
    global generation  # noqa: PLW0603 - of the process, as its number is
    generation += 1


if hasattr(os, "register_at_fork"):  # where processes fork at all
    os.register_at_fork(after_in_child=_count)
