"""One Python subject of `stream_cpu` in a process of its own, with two workers.

`python -m benchmarks.cpu_peers SUBJECT COUNT TURNS CHUNK [POISON]` maps `spin_row` over COUNT items, in
order, and prints how many were answered as it goes, and how it ended. `calibrate MICROSECONDS` prints the
turns of that time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from benchmarks.handlers.cpu import Row, spin, spin_row, spin_rows

WORKERS = 2
TELL_EVERY = 0.2
"""Seconds between two lines about the answers so far: what is seen of a subject that hangs."""


def calibrate(microseconds: float) -> int:
    """Turns that take so much time of one core: the fastest of several tries."""
    turns = 100_000
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        spin(turns)
        best = min(best, time.process_time() - began)
    return max(1, round(turns * microseconds / 1e6 / best))


def sequential(items: Sequence[Row], chunk: int) -> Iterable[Row]:
    del chunk
    return map(spin_row, items)


def halves(items: Sequence[Row], chunk: int) -> Iterable[Row]:
    """The ceiling: two processes that know their half from the start, and answer nothing."""
    del chunk
    workers = [
        multiprocessing.Process(target=spin_rows, args=(items[half::WORKERS],)) for half in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    value = spin(items[0]["turns"])
    return ({"id": item["id"], "value": value} for item in items)


def imap(items: Sequence[Row], chunk: int) -> Iterator[Row]:
    with multiprocessing.Pool(WORKERS) as pool:
        yield from pool.imap(spin_row, items, chunk)


def executor_map(items: Sequence[Row], chunk: int) -> Iterator[Row]:
    with ProcessPoolExecutor(WORKERS) as pool:
        yield from pool.map(spin_row, items, chunksize=chunk)


def executor_singles(items: Sequence[Row], chunk: int) -> Iterator[Row]:
    """One task for each item, as most begin."""
    del chunk
    with ProcessPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(spin_row, item) for item in items]:
            yield future.result()


def loky_map(items: Sequence[Row], chunk: int) -> Iterator[Row]:
    import loky  # noqa: PLC0415 - each subject loads only its own library

    pool = loky.get_reusable_executor(max_workers=WORKERS)
    yield from pool.map(spin_row, items, chunksize=chunk)
    pool.shutdown()


def many(items: Sequence[Row], chunk: int) -> Iterator[Row]:
    """Gristmill from Python: a list by `outcomes`, which is `many` for those who want failures as values."""
    from gristmill import Ok, Processes, batch  # noqa: PLC0415 - as above

    pool = Processes(WORKERS)
    made = batch(name="spin", max_size=chunk, concurrency=WORKERS, executor=pool, on_error="bisect")
    handler = made(spin_rows)
    for outcome in asyncio.run(handler.outcomes(items)):
        if isinstance(outcome, Ok):
            yield outcome.value


SUBJECTS: dict[str, Callable[[Sequence[Row], int], Iterable[Row]]] = {
    "sequential": sequential,
    "two halves": halves,
    "Pool.imap": imap,
    "ProcessPoolExecutor.map": executor_map,
    "ProcessPoolExecutor, singles": executor_singles,
    "loky": loky_map,
    "gristmill, many": many,
}


def tell(answered: int, ended: str) -> None:
    print(answered, ended, flush=True)


def main() -> None:
    if sys.argv[1] == "calibrate":
        print(calibrate(float(sys.argv[2])))
        return
    subject, (count, turns, chunk) = sys.argv[1], map(int, sys.argv[2:5])
    items: list[Row] = [{"id": number, "turns": turns} for number in range(count)]
    poisoned = len(sys.argv) > 5
    if poisoned:
        items[int(sys.argv[5])]["poison"] = True
    value = spin(turns)
    answered = 0
    told = time.monotonic()
    try:
        for row in SUBJECTS[subject](items, chunk):
            assert row["value"] == value
            assert poisoned or row["id"] == answered
            answered += 1
            if time.monotonic() - told > TELL_EVERY:
                tell(answered, "on the way")
                told = time.monotonic()
    except Exception as error:  # noqa: BLE001 - what a peer raises is the finding
        tell(answered, type(error).__name__)
        sys.exit(1)
    tell(answered, "done")


if __name__ == "__main__":
    main()
