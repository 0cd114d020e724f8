"""The ledger: a table beside the rows, with one row for each run and how far it has come.

Who opens a run raises its epoch, and every commit compares epoch and number
of commits, in the transaction of the rows. So a process that was paused or
cut off while another one went on with its run can commit nothing any more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity

TABLE = "gristmill_ledger"
_DEFINING = ("query", "table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the ledger says of a run.

    Attributes:
        identity: JSON of its ``Identity``.
        checkpoint: JSON of its last ``Checkpoint``.
        epoch: How often it was opened.
        commits: How often it was committed.
    """

    identity: bytes
    checkpoint: bytes
    epoch: int
    commits: int


def job_of(table: str, identity: Identity) -> str:
    """Return the key of a run in the ledger: the same for the same table, inputs and handler.

    The schema is no part of it: it may be left out, and each schema has a ledger of its own.
    """
    parts = [
        table,
        identity.handler,
        *(mark.name for mark in identity.sources),
        *(str(identity.options.get(name)) for name in _DEFINING),
    ]
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


def read_entry(entry: Entry, place: str) -> tuple[Identity, Checkpoint]:
    """Return the identity and the checkpoint of *entry*.

    Raises:
        ConfigurationError: Another version of Gristmill wrote it.
    """
    try:
        return (
            msgspec.json.decode(entry.identity, type=Identity),
            msgspec.json.decode(entry.checkpoint, type=Checkpoint),
        )
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{place} was written by another version of Gristmill: {error}; use --overwrite to begin anew"
        ) from error
