from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.engines.frames import Frame, FrameReader, TornFrame, pack, receive, send

LARGE = bytes(range(256)) * 4000


def sent(header: bytes, body: bytes | bytearray | memoryview) -> bytes:
    return b"".join(pack(header, body))


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=60)), max_size=4),
    st.lists(st.integers(1, 50), min_size=1),
)
def test_frames_are_put_together_from_pieces_of_any_size(
    messages: list[tuple[bytes, bytes]], sizes: list[int]
):
    stream = b"".join(sent(header, body) for header, body in messages)
    reader, got, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        space = reader.space()
        piece = stream[at : at + min(len(space), sizes[turn % len(sizes)])]
        space[: len(piece)] = piece
        frame = reader.filled(len(piece))
        at, turn = at + len(piece), turn + 1
        if frame is not None:
            got.append((bytes(frame.header), bytes(frame.body)))
    assert got == messages


def test_a_large_body_is_not_copied():
    body = bytearray(LARGE)
    parts = pack(b"h", body)
    body[0] = 77
    assert parts[-1][0] == 77


def test_a_body_may_be_any_kind_of_buffer():
    view = memoryview(bytearray(LARGE))
    assert sent(b"h", view[::2]) == sent(b"h", bytes(view[::2]))
    assert sent(b"h", view.cast("I")) == sent(b"h", LARGE)


@pytest.mark.parametrize("stream", [b"hello, this is no frame at all", sent(b"", b"body").ljust(30)])
def test_what_is_no_frame_is_refused(stream: bytes):
    reader = FrameReader()
    count = len(reader.space())
    reader.space()[:] = stream[:count]
    with pytest.raises(TornFrame):
        reader.filled(count)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def test_a_blocking_pair_exchanges_messages_of_any_size(pair: tuple[socket.socket, socket.socket]):
    thread = threading.Thread(target=lambda: [send(pair[0], b"one", LARGE), send(pair[0], b"two")])
    thread.start()
    assert receive(pair[1]) == Frame(b"one", LARGE)
    assert receive(pair[1]) == Frame(b"two", b"")
    thread.join()
    pair[0].close()
    assert receive(pair[1]) is None


@pytest.mark.parametrize("cut", [5, 22, 30])
def test_a_peer_that_hangs_up_half_way_has_sent_nothing(pair: tuple[socket.socket, socket.socket], cut: int):
    pair[0].sendall(sent(b"head", b"some body")[:cut])
    pair[0].close()
    assert receive(pair[1]) is None
