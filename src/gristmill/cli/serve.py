"""``gristmill serve``: run an App on uvicorn."""

from __future__ import annotations

import asyncio
import copy
import errno
import gc
import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from gristmill.app import App
from gristmill.cli.banner import banner
from gristmill.cli.exits import fail, loaded
from gristmill.cli.logs import LogLevel
from gristmill.errors import ConfigurationError, StoreError
from gristmill.queue.starting import LASTING

_LOG = logging.getLogger("gristmill.cli")

_LAST_WORDS = 1  # second for the answers to those who waited in vain
_FAREWELL = 3.0  # seconds for what is cancelled to end, once all callers are answered
_PATIENCE = 2.0  # seconds for the store to say that it is of no use
_COLLECT_EVERY = 10_000  # container objects made and not freed; under load each request holds a dozen


def serve(
    target: Annotated[
        str,
        typer.Argument(help="module:app or path/file.py:app; an App or a batch handler. Without :name, app."),
    ],
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    log_level: Annotated[LogLevel, typer.Option(help="Log this and worse.")] = LogLevel.INFO,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log every request; costs throughput.")
    ] = False,
    graceful_timeout: Annotated[
        int, typer.Option(help="Seconds that requests get to end after a signal to stop.", min=0)
    ] = 30,
    inner_pages: Annotated[
        bool | None,
        typer.Option(
            "--inner-pages/--no-inner-pages",
            help="Serve /metrics, /docs and /openapi.json; by default only where nobody else can reach them.",
        ),
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave the durable queues to gristmill work.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Let callers make jobs of the files in it; by default of none."),
    ] = None,
) -> None:
    """Serve batch handlers over HTTP until SIGTERM or SIGINT; then answer what waits, and exit."""
    app = loaded(target)
    if no_worker:
        app.works = False
    if files is not None:
        try:
            app.serve_files(files)
        except ConfigurationError as error:
            fail(str(error))
    listener = _bound(host, port)
    is_inner = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    if not (is_inner if inner_pages is None else inner_pages):
        app.hide_inner_pages()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=_log_config(log_level),
        log_level=log_level.value,
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=graceful_timeout + _LAST_WORDS,
        lifespan="on",
        http="httptools" if access_log else app.shortcut(),  # uvicorn writes its log on the long way only
        proxy_headers=False,  # nothing here looks at who calls
    )
    server = _Server(
        config, app, graceful_timeout, lambda: typer.echo(banner(app, *listener.getsockname()[:2]))
    )
    # uvicorn raises the signal again at its end: that the service was told to stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    _collect_less()
    with listener:
        try:
            server.run(sockets=[listener])
        finally:
            server.stay()
    if not server.started:
        raise typer.Exit(1)


def _collect_less() -> None:
    """Leave what is there now out of collections, and collect less often than at every 700th new object."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, *gc.get_threshold()[1:])


class _Server(uvicorn.Server):
    """Says when it is ready, and ends in time: also when a handler does not."""

    def __init__(
        self, config: uvicorn.Config, app: App, graceful_timeout: float, say_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._graceful_timeout = graceful_timeout
        self._say_ready = say_ready
        self._closing: list[asyncio.Task[None]] = []
        self._leaving: threading.Timer | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so; end here if the store cannot be used until it is changed."""
        await self._look_at_store()
        await super().startup(sockets)
        if self.started:
            self._say_ready()

    async def _look_at_store(self) -> None:
        if self._app.store_url is None or not self._app.works:
            return
        try:
            self._app.jobs.check_folder()
            if self._app.jobs.is_new:
                return  # the first job makes it
            async with asyncio.timeout(_PATIENCE):
                await self._app.jobs.open()
        except (ConfigurationError, *LASTING) as error:
            fail(str(error))
        except (StoreError, TimeoutError):
            return  # it is away: the queues are worked once it is there

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what waits, and stop; whoever has no answer when the time is up gets ``closed``."""
        timer = asyncio.get_running_loop().call_later(self._graceful_timeout, self._give_up)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()
            # The end of the loop waits for tasks that will not be cancelled, and for threads of to_thread.
            self._leave_after(_FAREWELL)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop soon; at once when told again. In the end also when a handler blocks the loop."""
        if self.force_exit:
            return
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)
        # In time for all that may take long: the answers of callers, then the batches of the queue.
        longest = 2 * (self._graceful_timeout + _LAST_WORDS) + _FAREWELL
        self._leave_after(_FAREWELL if self.force_exit else longest)

    def _leave_after(self, seconds: float) -> None:
        self.stay()
        self._leaving = threading.Timer(seconds, _leave)
        self._leaving.daemon = True
        self._leaving.start()

    def stay(self) -> None:
        """Let the process end by itself: the loop has ended."""
        if self._leaving is not None:
            self._leaving.cancel()

    def _give_up(self) -> None:
        _LOG.warning("time is up: stopping the batches that still run")
        self._closing += [
            asyncio.create_task(handler.aclose(drain=False), name=f"gristmill close {handler.name}")
            for handler in self._app.handlers
        ]

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop soon."""
        self.should_exit = True


def _leave() -> None:
    """End the process: what still runs is a handler that was given up."""
    _LOG.warning("a handler does not end: ending the process without it")
    os._exit(1)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to *host* and *port*, so that what is wrong shows before anything starts."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        fail(f"cannot listen on {host}: {error.strerror or error}")
    except UnicodeError:  # an empty label, or one of more than 63 characters
        fail(f"cannot listen on {host}: that can be no name of a host")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Bound is not enough: two sockets with SO_REUSEADDR may both bind until one listens.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            fail(f"port {port} of {host} is taken; choose another with --port")
        fail(f"cannot listen on {host}:{port}: {error.strerror or error}")
    return listener


def _log_config(level: LogLevel) -> dict[str, Any]:
    config = copy.deepcopy(LOGGING_CONFIG)
    own = {"handlers": ["default"], "level": level.value.upper(), "propagate": False}
    config["loggers"]["gristmill"] = own
    return config
