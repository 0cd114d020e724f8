"""Every exception Gristmill raises.

::

    GristmillError
    ├── ConfigurationError (ValueError)   an option, a handler or a target that cannot work
    ├── BlockingCall (RuntimeError)       a blocking call from the loop it would block
    ├── StoreError                        the durable queue's store did not do it
    │   ├── StoreUnavailable              it cannot be reached; try again
    │   ├── StoreFull                     it has no room for more
    │   ├── StoreReadOnly                 it takes no writes
    │   ├── StoreVersion                  a newer Gristmill wrote its schema
    │   ├── StoreMisconfigured            it would lose jobs as it is set up
    │   └── NotSupported                  this kind of store cannot
    ├── QueueError                        the durable queue would not do it
    │   ├── UnknownHandler (LookupError)  no handler of that name
    │   ├── JobNotFound (LookupError)     no such job, or none in the state that is needed
    │   ├── ItemNotFound (LookupError)    the job has no item at that place
    │   ├── JobNotFinal                   the job still runs
    │   ├── UniqueConflict                another job holds the unique key, for something else
    │   ├── UploadAbandoned               the items came too late: they were taken for those of a dead process
    │   ├── InvalidItem (ValueError)      an item that is not of the handler's type, or too large
    │   └── LeaseLost                     the lease died; somebody else has the items
    ├── StreamError                       a run over files or tables had to stop; it can be resumed
    │   ├── SourceError                   an input cannot be read as what it should be
    │   │   ├── SourceChanged             it changed while it was read
    │   │   ├── MalformedInput (ValueError) its bytes are not the format they should be
    │   │   └── ParquetInvalid (ValueError) they should be Parquet and are not, or cannot be joined
    │   ├── SinkError (OSError)           the output cannot be written
    │   │   ├── SchemaMismatch            parts of one output have different columns
    │   │   └── SinkTaken                 another process has gone on with the run
    │   ├── TooManyFailures               more rows failed than may
    │   └── WorkersLost                   workers die, and no row is to blame
    └── BatchError                        an item, or its whole batch, got no value
        ├── ItemFailed                    the handler answered Failed for this item
        ├── ItemMissing (KeyError)        a dict reply has no entry for this item
        ├── HandlerFailed                 the handler raised; __cause__ is what it raised
        ├── ReplyMismatch                 the handler's reply cannot be paired with its items
        ├── WorkerDied                    the process that ran the batch is gone
        ├── BatchCancelled                the batch ended without a reply
        ├── DeadlineExceeded (TimeoutError)
        ├── BatcherClosed                 closed, or its event loop is
        ├── QueueFull                     max_pending items, or their weight, are waiting
        ├── ItemTooHeavy                  one item weighs more than max_weight
        ├── ReentrantBatch                a handler calls itself without end
        ├── ClientError                   another server was asked, and gave no answer that can be used
        │   ├── ServerUnreachable         no connection came about; nothing was sent
        │   ├── AnswerLost                the connection ended after the request was sent
        │   ├── UnusableAnswer            what came is no answer to what was asked
        │   └── RequestRefused            the server refused the whole request
        ├── DatabaseFailed                the database took nothing of the batch
        │   ├── DatabaseBusy              somebody else held the lock for too long
        │   ├── DatabaseUnavailable       it cannot be reached, or broke off before the commit
        │   ├── DatabaseConflict          a deadlock with another transaction, again and again
        │   ├── PoolTimeout (TimeoutError) no connection came free in time
        │   ├── CommitUnknown             it broke off at the commit: stored or not, nobody knows
        │   └── WriterClosed              the writer was closed
        └── ManyFailed (ExceptionGroup)   some items of many() failed

    EndRun (BaseException)                a handler ends a run over files; none of its rows is to blame

Every ``BatchError`` carries a stable ``code`` (the slug of HTTP answers and
metrics) and ``retryable``: whether the same item may succeed later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GristmillError(Exception):
    """The root of everything Gristmill raises."""


class ConfigurationError(GristmillError, ValueError):
    """An option, a handler or a target cannot work; the message says what to do."""


class BlockingCall(GristmillError, RuntimeError):
    """A blocking call was made on the event loop that would have to answer it."""


class StoreError(GristmillError):
    """The durable queue's store did not do what was asked of it.

    ``code`` is the slug of HTTP answers; ``retryable`` whether the same call may succeed later.
    """

    code: str = "store_error"
    retryable: bool = False


class StoreUnavailable(StoreError):
    """The store cannot be reached, or did not answer in time; nothing is known to have happened."""

    code = "store_unavailable"
    retryable = True


class StoreFull(StoreError):
    """The store has no room for more; what it holds is safe, and settling still works."""

    code = "store_full"
    retryable = True


class StoreReadOnly(StoreError):
    """The store takes no writes."""

    code = "store_read_only"


class StoreVersion(StoreError):
    """A newer Gristmill wrote the store's schema; this one does not touch it."""

    code = "store_version"


class StoreMisconfigured(StoreError):
    """The store would lose jobs as it is set up; the message says what to change."""

    code = "store_misconfigured"


class NotSupported(StoreError):
    """This kind of store cannot do that."""

    code = "not_supported"


class QueueError(GristmillError):
    """The durable queue would not do what was asked of it.

    ``code`` is the slug of HTTP answers.
    """

    code: str = "queue_error"
    retryable: bool = False


class UnknownHandler(QueueError, LookupError):
    """No handler of that name; the message names those there are."""

    code = "unknown_handler"


class JobNotFound(QueueError, LookupError):
    """There is no such job, or it is not in the state that is needed."""

    code = "not_found"


class ItemNotFound(QueueError, LookupError):
    """The job has no item at that place; the message says how many it has."""

    code = "not_found"


class JobNotFinal(QueueError):
    """The job still runs: cancel it first, or wait."""

    code = "job_not_final"


class UniqueConflict(QueueError):
    """Another job holds the unique key, and something else was submitted under it.

    Attributes:
        job: The id of that job.
    """

    code = "unique_conflict"

    def __init__(self, message: str, *, job: str) -> None:
        super().__init__(message)
        self.job = job


class UploadInFlight(UniqueConflict):
    """Another submission holds the unique key, and its items are still coming.

    Nobody knows yet whether it will be a job: try again later. If its process died, the key is free a minute
    after that at the latest.
    """

    code = "idempotency_in_flight"
    retryable = True


class UploadAbandoned(QueueError):
    """The store heard nothing of the process that took in the items for too long, and removed what it had.

    It was stopped, or cut off, for a minute or more. Nothing is stored: submit the items again.
    """

    code = "upload_abandoned"
    retryable = True


class InvalidItem(QueueError, ValueError):
    """An item is not of the handler's type, or too large; nothing was stored.

    Attributes:
        index: Its place in what was submitted.
    """

    code = "invalid_item"

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


class LeaseLost(QueueError):
    """The lease died: its items are, or will be, somebody else's."""

    code = "lease_lost"


class StreamError(GristmillError):
    """A run over files or tables had to stop. What was committed is safe, and the run can be resumed."""


class SourceError(StreamError):
    """An input cannot be read as what it should be; the message says where, and what to do."""


class SourceChanged(SourceError):
    """An input is not what it was when the run began."""


class MalformedInput(SourceError, ValueError):
    """The bytes of an input are not the format they should be; the message says what to do.

    Attributes:
        offset: The first byte that cannot be, counted from the beginning of what was given to read.
    """

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword arguments over a pickle."""
        return (_malformed_input, (type(self), self.message, self.offset))


def _malformed_input(kind: type[MalformedInput], message: str, offset: int) -> MalformedInput:
    return kind(message, offset=offset)


class ParquetInvalid(SourceError, ValueError):
    """Bytes that should be Parquet are not, are damaged, or are of a kind that cannot be joined."""


class SinkError(StreamError, OSError):
    """The output, the journal or the dead letters cannot be written: a full disk, a database that is away."""


class SchemaMismatch(SinkError):
    """Parts of one output have different columns; the message names the first difference."""


class SinkTaken(SinkError):
    """Another process has gone on with this run; this one must not write any more."""


class TooManyFailures(StreamError):
    """More rows failed than ``max_failures`` allows."""


class WorkersLost(StreamError):
    """Workers die or cannot start, and no row is to blame."""


class EndRun(BaseException):
    """Ends a run over files or tables: no row is to blame, and the run can be resumed.

    What a handler raises, or returns for a row, where it has lost what all rows need. No ``Exception``, so
    that whoever looks for what is wrong with a row lets it pass.
    """


class BatchError(GristmillError):
    """An item, or the whole batch it was in, got no value."""

    code: str = "failed"
    retryable: bool = False


class ItemFailed(BatchError):
    """The handler answered ``Failed`` for this item.

    ``code`` and ``retryable`` are those of the ``Failed``.
    """

    def __init__(self, message: str, *, code: str = "failed", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword arguments over a pickle."""
        return (_item_failed, (self.message, self.code, self.retryable))


def _item_failed(message: str, code: str, retryable: bool) -> ItemFailed:  # noqa: FBT001 - pickle passes by position
    return ItemFailed(message, code=code, retryable=retryable)


class ItemMissing(BatchError, KeyError):
    """The handler's dict has no entry for this item."""

    code = "not_found"

    def __str__(self) -> str:
        """Return the message itself; KeyError would quote it."""
        return str(self.args[0]) if self.args else ""


class HandlerFailed(BatchError):
    """The handler raised, so its whole batch failed; ``__cause__`` is what it raised.

    Every waiter gets an instance of its own: a shared one would mix tracebacks.
    """

    code = "handler_error"
    retryable = True


class ReplyMismatch(BatchError):
    """The handler's reply cannot be paired with its items, so none is trusted."""

    code = "handler_contract"


class WorkerDied(BatchError):
    """The worker process that ran the batch died; other batches are not touched."""

    code = "worker_died"


class BatchCancelled(BatchError):
    """The batch ended without a reply: cancelled, or stopped by a fatal error."""

    code = "cancelled"
    retryable = True


class DeadlineExceeded(BatchError, TimeoutError):
    """The item's ``timeout`` passed before its answer came."""

    code = "deadline_exceeded"
    retryable = True


class BatcherClosed(BatchError):
    """The handler was closed, or the event loop it ran on was."""

    code = "closed"
    retryable = True


class QueueFull(BatchError):
    """``max_pending`` items, or their weight, are waiting already; nothing was taken."""

    code = "queue_full"
    retryable = True


class ItemTooHeavy(BatchError):
    """One item weighs more than ``max_weight``, so no batch may hold it."""

    code = "item_too_heavy"


class ReentrantBatch(BatchError):
    """A handler calls itself, through its own batches, deeper than it may."""

    code = "reentrant"


class ClientError(BatchError):
    """Another server was asked, and gave no answer that can be used; the message says what to do.

    Attributes:
        may_have_run: Whether the server may have acted on the request all the same. Such a request is
            repeated only under an idempotency key, or where the caller has said that it may be.
    """

    code = "client_error"
    may_have_run: bool = False


class ServerUnreachable(ClientError):
    """No connection came about, so nothing was sent."""

    code = "server_unreachable"
    retryable = True


class AnswerLost(ClientError):
    """The connection ended after the request was sent, before the whole answer was there."""

    code = "answer_lost"
    retryable = True
    may_have_run = True


class UnusableAnswer(ClientError):
    """What came is no answer to what was asked: no JSON, another length, a redirect."""

    code = "unusable_answer"
    may_have_run = True


class RequestRefused(ClientError):
    """The server refused the whole request.

    Attributes:
        status: The HTTP status.
        retry_after: Seconds that the server asks to wait; None if it does not say.
        limit_items: The most items it takes at once, if that was exceeded and it says so.
        limit_bytes: The largest body it takes, likewise.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "refused",
        retryable: bool = False,
        may_have_run: bool = False,
        retry_after: float | None = None,
        limit_items: int | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.may_have_run = may_have_run
        self.retry_after = retry_after
        self.limit_items = limit_items
        self.limit_bytes = limit_bytes

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword arguments over a pickle."""
        return (_request_refused, (str(self), dict(vars(self))))


def _request_refused(message: str, members: dict[str, Any]) -> RequestRefused:
    error = RequestRefused(message, status=members["status"])
    vars(error).update(members)
    return error


class DatabaseFailed(BatchError):
    """The database took nothing of the batch; ``__cause__`` is what it said."""

    code = "database_failed"


class DatabaseBusy(DatabaseFailed):
    """Another connection held the lock for longer than the busy timeout; nothing was stored."""

    code = "database_busy"
    retryable = True


class DatabaseUnavailable(DatabaseFailed):
    """The database cannot be reached, or broke off before the commit; nothing was stored."""

    code = "database_unavailable"
    retryable = True


class DatabaseConflict(DatabaseFailed):
    """The transaction met another one (a deadlock) each time it was tried; nothing was stored."""

    code = "database_conflict"
    retryable = True


class PoolTimeout(DatabaseFailed, TimeoutError):
    """All connections of the pool were taken for the whole acquire timeout; nothing was sent."""

    code = "pool_timeout"
    retryable = True


class CommitUnknown(DatabaseFailed):
    """The database broke off before it answered the commit: the batch is stored as a whole, or not at all."""

    code = "commit_unknown"


class WriterClosed(DatabaseFailed):
    """The writer was closed; nothing was stored."""

    code = "closed"


_SHOWN = 10  # indices that a message names


class ManyFailed(ExceptionGroup[Exception], BatchError):
    """Some items of one ``many()`` failed; the others were processed.

    Attributes:
        errors: index of the item in the caller's list -> its exception, in
            the order of the indices.
        values: the whole list of values; ``None`` where ``errors`` has the index.
    """

    code: ClassVar[str] = "many_failed"  # type: ignore[misc]  # constant here, an instance's own in ItemFailed

    errors: Mapping[int, Exception]
    values: list[object]

    def __new__(cls, errors: Mapping[int, Exception], values: list[object]) -> ManyFailed:  # noqa: PYI034 - ExceptionGroup.derive needs the plain type
        """Build the group of *errors* in the order of their indices."""
        ordered = dict(sorted(errors.items()))
        first = list(ordered)[:_SHOWN]
        shown = ", ".join(map(str, first)) + (", ..." if len(ordered) > len(first) else "")
        text = f"{len(ordered)} of {len(values)} items failed, at {shown}"
        self = super().__new__(cls, text, list(ordered.values()))
        self.errors = ordered
        self.values = values
        return self

    def __init__(self, errors: Mapping[int, Exception], values: list[object]) -> None:
        """Take what ``__new__`` took."""

    def derive(self, excs: list[Exception]) -> ExceptionGroup[Exception]:  # type: ignore[override]  # a part has no list of values
        """Return a plain group, for ``split`` and ``except*``."""
        return ExceptionGroup(self.message, excs)
