"""Memory that a worker puts large results into and its parent takes them from: one copy, none by the system.

A socket copies a body into the kernel and out again, into memory that is new each time. Here it stands
where both see it. A slot belongs to the worker while its flag is 0, and to the parent from the message that
tells of it until nobody there holds the body any more. A worker that finds no slot free, or none large
enough, sends the body through the socket: nobody ever waits for a slot. When a worker dies, its slots go with
it as soon as the last body in them is let go of.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import weakref
from collections.abc import Callable
from multiprocessing import reduction
from typing import Any, TypeAlias

from gristmill.streams.engines.frames import Body, flat

SLOTS = 3
"""Of a worker: of a result that is written, one that waits for its turn, and one that is made."""
SLOT_BYTES = 16 << 20
"""Of a slot; only what was written once takes memory."""
SMALLEST = 1 << 16
"""Bytes of a body that is worth a slot."""

_FLAGS = mmap.PAGESIZE
_SIZE = _FLAGS + SLOTS * SLOT_BYTES
_BLOCK = ctypes.c_ubyte * SLOT_BYTES

Place: TypeAlias = tuple[int, int]
"""The number of a slot, and the bytes of the body in it."""


class Door:
    """What a worker process is given to reach its slots; only ``multiprocessing`` can take it there.

    Args:
        fd: Of the memory.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> tuple[Callable[[Any], Door], tuple[Any]]:
        """Hand the descriptor over."""
        return _door, (reduction.DupFd(self.fd),)


def _door(duplicate: Any) -> Door:
    return Door(duplicate.detach())


class WorkerSlots:
    """The worker's side.

    Args:
        door: Closed when this is made.
    """

    def __init__(self, door: Door) -> None:
        try:
            self._memory = mmap.mmap(door.fd, _SIZE)
        finally:
            os.close(door.fd)

    def put(self, body: Body) -> Place | None:
        """Copy *body* into a free slot; None: there is none, or it is too small or too large for one."""
        view = flat(body)
        size = view.nbytes
        if not SMALLEST <= size <= SLOT_BYTES:
            return None
        slot = self._memory.find(b"\0", 0, SLOTS)
        if slot < 0:
            return None
        start = _FLAGS + slot * SLOT_BYTES
        self._memory[start : start + size] = view
        self._memory[slot] = 1
        return slot, size

    def put_back(self, place: Place) -> None:
        """Free a slot that the parent is not told of."""
        self._memory[place[0]] = 0


class ParentSlots:
    """The parent's side.

    Raises:
        OSError: There is no memory for it.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("gristmill-results")
        try:
            os.ftruncate(self._fd, _SIZE)
            self._memory = mmap.mmap(self._fd, _SIZE)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def door(self) -> Door:
        """For the worker; good until ``shut``."""
        return Door(self._fd)

    def shut(self) -> None:
        """Let go of the descriptor, when the worker has been started."""
        os.close(self._fd)

    def take(self, place: Place) -> memoryview:
        """Return the body at *place*. Its slot is free again when nothing holds the view or a part of it.

        Raises:
            ValueError: There is no such place.
        """
        slot, size = place
        if not (0 <= slot < SLOTS and 0 <= size <= SLOT_BYTES and self._memory[slot]):
            raise ValueError(f"no body in slot {slot}, {size} bytes")
        block = _BLOCK.from_buffer(self._memory, _FLAGS + slot * SLOT_BYTES)
        weakref.finalize(block, _free, self._memory, slot).atexit = False
        return memoryview(block).cast("B")[:size]


def _free(memory: mmap.mmap, slot: int) -> None:
    memory[slot] = 0


def parent_slots() -> ParentSlots | None:
    """Return new slots; None where the system has no such memory, or none left: the socket does as well."""
    if not hasattr(os, "memfd_create"):
        return None
    with contextlib.suppress(OSError):
        return ParentSlots()
    return None
