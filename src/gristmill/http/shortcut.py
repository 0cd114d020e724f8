"""Items without ASGI: a shortcut in uvicorn's own HTTP/1.1 protocol.

An ordinary ``POST /v1/{name}`` whose body came whole needs no scope, no task
and no events: its item is admitted where the parser says that the message is
complete, and the answer is written where its future is done. That halves
what a request costs. An ordinary ``POST /v1/{name}/batch`` is a task, but
needs no scope and no events either. Everything else (other routes and
methods, slow, large, compressed or chunked bodies, HTTP/1.0, ``Expect``, an
``Idempotency-Key``, other media types, a drain) takes the ASGI way, whose
answers are the reference: both call the same endpoint.

This leans on the inside of uvicorn's ``HttpToolsProtocol``: its parser
callbacks, ``cycle``, ``flow`` and ``on_response_complete``.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gristmill.codec.results import UnusableResult
from gristmill.http.asgi import internal_error
from gristmill.http.endpoints import BatchEndpoint, HotEndpoint, SingleEndpoint
from gristmill.http.flight import BatchFlight, Flight
from gristmill.http.problems import CLOSE, Refused, Reply, problem_reply

_JSON = b"application/json"
_UNUSUAL = frozenset(
    (b"content-encoding", b"transfer-encoding", b"connection", b"expect", b"upgrade", b"prefer",
     b"idempotency-key")
)  # fmt: skip
_KEEP_ALIVE = b"keep-alive"
_GOOD = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"


class Counter(Protocol):
    """Counts the answers."""

    def count(self, handler: str, route: str, code: int) -> None:
        """Count one."""


class _DefaultLines:
    """The lines of uvicorn's default headers, of which it makes a new list each second."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return *headers* as lines."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._lines


class ShortcutProtocol(HttpToolsProtocol):
    """uvicorn's protocol; a subclass for each application knows its paths.

    Attributes:
        endpoints: path -> endpoint of one item, or of a batch.
        counter: Counts the answers.
        default_lines: Of all its connections.
    """

    endpoints: ClassVar[Mapping[bytes, HotEndpoint]]
    counter: ClassVar[Counter]
    default_lines: ClassVar[_DefaultLines]

    _taking: HotEndpoint | None = None  # the endpoint of a request whose body is coming
    _body: bytes = b""
    # The last one; `cycle` may be of a request in the line behind it.
    _flight: Flight | BatchFlight | None = None
    _is_in_head = False  # a request has begun whose headers are not all there
    _idle_since = 0.0
    _context: contextvars.Context

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Keep the context, for what begins while a batch is answered."""
        super().connection_made(transport)
        self._context = contextvars.copy_context()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what waits, and the timer."""
        super().connection_lost(exc)
        if self._flight is not None:
            self._flight.disconnected = True
            self._flight.set()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def _unset_keepalive_if_required(self) -> None:
        """Let the timer run: it looks for itself how long the connection has been idle."""

    def on_response_complete(self) -> None:
        """Begin what was pipelined, or an idle time; as uvicorn does, but with one timer for all requests."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait_idle(self.timeout_keep_alive)

    def _wait_idle(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for as long as it may."""
        self.timeout_keep_alive_task = None
        if self._is_answering() or self._taking is not None or self._is_in_head:
            return  # the end of the answer sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wait_idle(left)
        else:
            super().timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a body that did not come whole goes the long way, which has a deadline."""
        super().data_received(data)
        if self._taking is not None and not self.transport.is_closing():
            body, self._body, self._taking = self._body, b"", None
            self._go_the_long_way()
            if body:
                super().on_body(body)

    def on_message_begin(self) -> None:
        """Begin a request without building its ASGI scope."""
        self.url = b""
        self.headers = []
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what it means is asked once, when all are there."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self._is_in_head = False
        endpoint = self.endpoints.get(self.url)
        if endpoint is not None and self._is_ordinary(endpoint):
            self._taking = endpoint
        else:
            self._go_the_long_way()

    def _go_the_long_way(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def _is_ordinary(self, endpoint: HotEndpoint) -> bool:
        if self._is_answering():
            return False  # pipelined: uvicorn queues it
        if endpoint.is_draining or self.flow.write_paused or self.limit_concurrency is not None:
            return False
        if self.parser.get_method() != b"POST" or not self.parser.should_keep_alive():
            return False
        length = -1
        is_json = False
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"content-type":
                if is_json or value != _JSON:
                    return False
                is_json = True
            elif name in _UNUSUAL and not self._is_plain_keep_alive(value):
                return False
        return is_json and 0 <= length <= endpoint.max_bytes

    def _is_plain_keep_alive(self, value: bytes) -> bool:
        # Many clients say "keep-alive" with every request; from HTTP/1.0 it asks for an echo.
        return value.lower() == _KEEP_ALIVE and self.parser.get_http_version() == "1.1"

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn's annotation says
        return cycle is not None and not cycle.response_complete

    def on_body(self, body: bytes) -> None:
        """Keep the body, or hand it on."""
        if self._taking is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Admit the item, or begin the batch."""
        endpoint, self._taking = self._taking, None
        if endpoint is None:
            super().on_message_complete()
            return
        body, self._body = self._body, b""
        if isinstance(endpoint, SingleEndpoint):
            self._begin_single(endpoint, body)
        else:
            self._begin_batch(endpoint, body)

    def _begin_single(self, endpoint: SingleEndpoint, body: bytes) -> None:
        flight = Flight(self, endpoint)
        try:
            begun = endpoint.begin(body, flight.enter)
        except Exception as error:  # noqa: BLE001 - the last resort: logged, and told without its text
            begun = internal_error(error)
        if begun is flight:
            self._flight = flight
            self.cycle = flight  # type: ignore[assignment]  # it stands in for one
        elif isinstance(begun, Reply):
            self.write(endpoint, begun, keep_alive=True)

    def _begin_batch(self, endpoint: BatchEndpoint, body: bytes) -> None:
        flight = BatchFlight()
        # The answer has the body to itself, and lets it go: while the items wait only they are kept.
        flight.task = task = self.loop.create_task(self._answer(flight, endpoint, endpoint.answer(body)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self._flight = flight
        self.cycle = flight  # type: ignore[assignment]  # it stands in for one

    async def _answer(
        self, flight: BatchFlight, endpoint: BatchEndpoint, answer: Coroutine[Any, Any, Reply]
    ) -> None:
        try:
            reply = await answer
        except asyncio.CancelledError:
            if flight.disconnected:
                return
            self.transport.close()  # the server stops and waits no longer
            raise
        except Refused as refused:
            reply = problem_reply(refused.problem, refused.headers)
        except Exception as error:  # noqa: BLE001 - the last resort: logged, and told without its text
            reply = internal_error(error)
        if not flight.disconnected:
            flight.response_complete = True
            self.write(endpoint, reply, keep_alive=flight.keep_alive)

    def land(self, flight: Flight, value: Any, error: Exception | None) -> None:
        """Answer the caller of *flight*; what its batch cost it is in the headers."""
        endpoint = flight.endpoint
        batch, seconds = flight.batch()
        if error is not None:
            self.write(endpoint, endpoint.failed(error, batch, seconds), keep_alive=flight.keep_alive)
            return
        try:
            text = endpoint.text(value)
        except UnusableResult:
            text = b""  # ``answered`` says what that means
        if text and flight.keep_alive:
            default = self.default_lines.of(self.server_state.default_headers)
            told = endpoint.told.lines(batch, seconds)
            self.transport.write(_GOOD % (default, len(text), told, text))
            self._answered(endpoint, 200)
        else:
            self.write(endpoint, endpoint.answered(value, batch, seconds), keep_alive=flight.keep_alive)

    def write(self, endpoint: HotEndpoint, reply: Reply, *, keep_alive: bool) -> None:
        """Send *reply*, and close the connection if it or the caller wants that."""
        keeps = keep_alive and CLOSE not in reply.headers
        lines = [STATUS_LINE[reply.status], self.default_lines.of(self.server_state.default_headers)]
        for name, value in reply.headers:
            lines += (name, b": ", value, b"\r\n")
        if not keeps and CLOSE not in reply.headers:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", reply.body)
        self.transport.write(b"".join(lines))
        if not keeps:
            self.transport.close()
        self._answered(endpoint, reply.status)

    def _answered(self, endpoint: HotEndpoint, status: int) -> None:
        self.counter.count(endpoint.handler, endpoint.route, status)
        if self.pipeline:
            # What follows in the line is a task of its own, in the context of the connection, not of a batch.
            self._context.run(self.on_response_complete)
        else:
            self.on_response_complete()


def shortcut_protocol(endpoints: Mapping[bytes, HotEndpoint], counter: Counter) -> type[ShortcutProtocol]:
    """Return a protocol class for an application with these paths."""
    shared = {"endpoints": dict(endpoints), "counter": counter, "default_lines": _DefaultLines()}
    return type("AppShortcutProtocol", (ShortcutProtocol,), shared)
