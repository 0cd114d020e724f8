"""The folder of the server whose files may become jobs, and how one of them is opened without leaving it.

The path comes from a caller, and what lies in the folder may change between any two looks. So nothing is
checked first and opened after: each part of the path is opened inside the folder that was opened before it,
and never through a link. It is what ``openat2`` does with ``RESOLVE_BENEATH`` and ``RESOLVE_NO_SYMLINKS``.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

from gristmill.errors import ConfigurationError
from gristmill.http.headers import Form
from gristmill.http.jobs.query import invalid_option
from gristmill.http.problems import Refused, problem
from gristmill.streams.formats.naming import Format, format_of

_LOG = logging.getLogger("gristmill.http")

_LONGEST = 1024  # characters of a path
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# A pipe without a writer must not block the open, and a terminal not become ours.
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

_FORMS = {Format.CSV: Form.CSV, Format.TSV: Form.TSV, Format.NDJSON: Form.LINES}
_ALIASES = {"jsonl": "ndjson", "json": "ndjson"}  # as ``gristmill run`` has them


def parts_of(path: str) -> list[str]:
    """Return the names in *path*, which a caller gave, outermost first.

    Raises:
        Refused: ``invalid_path``: it is empty, absolute, longer than 1024 characters or not printable, has an
            empty name or a backslash, or a name in it begins with a dot.
    """
    parts = path.split("/")
    is_usable = path.isprintable() and len(path) <= _LONGEST and "\\" not in path
    if not is_usable or any(not part or part.startswith(".") for part in parts):
        raise Refused(problem("invalid_path"))
    return parts


def form_of_file(path: str, said: str | None) -> Form:
    """Return how the file at *path* is written: as is *said*, else as its name does.

    Raises:
        Refused: ``invalid_option``: neither says one that jobs are made of.
    """
    try:
        found = format_of(path, "format") if said is None else Format(_ALIASES.get(said, said))
        return _FORMS[found]
    except (ConfigurationError, ValueError, KeyError) as error:
        raise invalid_option("format", "csv, tsv or ndjson, unless the name of the file says it") from error


class ServerFiles:
    """The files that jobs may be made of; none without a folder."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Where they are, absolute."""
        return self._folder

    def serve(self, folder: str | os.PathLike[str]) -> None:
        """Serve the files of *folder* from now on.

        Raises:
            ConfigurationError: It is no folder, or this system cannot open files inside of one.
        """
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise ConfigurationError("files= needs a system that opens files relative to a folder, as Linux")
        path = Path(folder).absolute()
        if not path.is_dir():
            raise ConfigurationError(f"files= is a folder that is there, not {os.fspath(folder)!r}")
        self._folder = path.resolve()

    def check(self, path: str) -> tuple[Path, list[str]]:
        """Return the folder, and the names in *path*; nothing is looked at yet.

        Raises:
            Refused: ``files_disabled`` or ``invalid_path``.
        """
        if self._folder is None:
            raise Refused(problem("files_disabled"))
        return self._folder, parts_of(path)

    def open(self, path: str) -> int:
        """Return a descriptor of the regular file that *path* names below the folder.

        Raises:
            Refused: As ``check``; or ``file_not_found``, whatever the reason: callers learn nothing of what
                else is there, and the log has it.
        """
        folder, parts = self.check(path)
        try:
            return open_beneath(folder, parts)
        except OSError as error:
            why = errno.errorcode.get(error.errno or 0, "unknown")
            _LOG.info("a job asked for the file %r, which cannot be opened: %s", path, why)
            raise Refused(problem("file_not_found")) from error


def open_beneath(folder: Path, parts: list[str]) -> int:
    """Return a descriptor of the regular file *parts* inside *folder*; no link on the way is followed.

    Raises:
        OSError: There is none, it is a link, a folder, a pipe, a socket or a device, or may not be read.
    """
    at = os.open(folder, _FOLDER)
    try:
        for name in parts[:-1]:
            inner = os.open(name, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        # To open a device may do something; what the name stands for is looked at again when it is open.
        _check_regular(os.stat(parts[-1], dir_fd=at, follow_symlinks=False))
        found = os.open(parts[-1], _FILE, dir_fd=at)
    finally:
        os.close(at)
    try:
        _check_regular(os.fstat(found))
    except OSError:
        os.close(found)
        raise
    return found


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
