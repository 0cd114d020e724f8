"""The driver's own error objects."""

from __future__ import annotations

import asyncpg
import pytest

from gristmill.databases.faults import Interrupted, RowRefused
from gristmill.databases.postgres.errors import sorted_error
from gristmill.errors import ConfigurationError, DatabaseConflict, DatabaseFailed, DatabaseUnavailable
from gristmill.model.outcome import Failed


def from_server(state: str, **fields: str) -> Exception:
    error: Exception = asyncpg.PostgresError.new({"S": "ERROR", "C": state, "M": "secret", **fields})
    return error


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (from_server("23505", D="Key (email)=(secret) exists.", n="users_email_key"),
         Failed("another row has the same value in a unique column (users_email_key)", "unique_violation")),
        (from_server("23502", c="name"), Failed("name must not be null", "not_null_violation")),
        (from_server("23503", n="fk"),
         Failed("a row it refers to does not exist, or a row refers to it (fk)", "foreign_key_violation")),
        (from_server("23514", n="adult"),
         Failed("a check of the table does not hold (adult)", "check_violation")),
        (from_server("23P01", n="room"),
         Failed("it overlaps with another row (room)", "exclusion_violation")),
        (from_server("22001"), Failed("a text is longer than its column", "string_too_long")),
        (from_server("22003"),
         Failed("a number is larger or smaller than its column can hold", "number_out_of_range")),
        (from_server("22P02"), Failed("a value is not of its column's type", "type_mismatch")),
        (from_server("42601", W="unnamed portal parameter $1"),
         Failed("a value is not of its column's type", "type_mismatch")),
        (from_server("P0001"),
         Failed("a rule of the table, such as a trigger, refuses the row", "constraint_violation")),
    ],
)  # fmt: skip
def test_a_row_at_fault_gets_its_slug_and_no_text_shows_a_value(error: Exception, failed: Failed) -> None:
    found = sorted_error(error)
    assert isinstance(found, RowRefused)
    assert (found.failed, found.is_sent) == (failed, True)


@pytest.mark.parametrize(
    ("error", "kind", "is_lost", "was_answered"),
    [
        (from_server("40P01"), DatabaseConflict, False, True),
        (from_server("40001"), DatabaseConflict, False, True),
        (from_server("57P01"), DatabaseUnavailable, True, True),
        (from_server("57014"), DatabaseUnavailable, False, True),
        (from_server("25006"), DatabaseUnavailable, True, True),
        (from_server("53300"), DatabaseUnavailable, True, True),
        (asyncpg.ConnectionDoesNotExistError("closed"), DatabaseUnavailable, True, False),
        (ConnectionRefusedError("refused"), DatabaseUnavailable, True, False),
        (TimeoutError(), DatabaseUnavailable, True, False),
        (
            asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
            DatabaseUnavailable,
            True,
            True,
        ),
    ],
)
def test_what_may_pass_is_no_fault_of_a_row(
    error: Exception, kind: type, *, is_lost: bool, was_answered: bool
) -> None:
    found = sorted_error(error)
    assert isinstance(found, Interrupted)
    assert (type(found.error), found.is_lost, found.was_answered) == (kind, is_lost, was_answered)


@pytest.mark.parametrize("state", ["42P01", "42703", "42501", "28P01", "3D000"])
def test_a_statement_or_a_login_that_cannot_be_is_a_matter_of_configuration(state: str) -> None:
    assert isinstance(sorted_error(from_server(state)), ConfigurationError)


def test_a_full_disk_is_told_to_nobody_but_the_caller() -> None:
    found = sorted_error(from_server("53100"))
    assert type(found) is DatabaseFailed
    assert "secret" not in str(found)
