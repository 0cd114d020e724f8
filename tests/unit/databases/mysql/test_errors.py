"""The driver's own error objects, with texts as servers send them."""

from __future__ import annotations

import pymysql.err
import pytest

from gristmill.databases.faults import Interrupted, RowRefused
from gristmill.databases.mysql.errors import sorted_error
from gristmill.errors import ConfigurationError, DatabaseConflict, DatabaseFailed, DatabaseUnavailable
from gristmill.model.outcome import Failed


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (
            pymysql.err.IntegrityError(1062, "Duplicate entry 'secret' for key 'email'"),
            Failed("another row has the same value in a unique column (email)", "unique_violation"),
        ),
        (
            pymysql.err.IntegrityError(1048, "Column 'name' cannot be null"),
            Failed("name must not be null", "not_null_violation"),
        ),
        (
            pymysql.err.OperationalError(1364, "Field 'name' doesn't have a default value"),
            Failed("name must not be null", "not_null_violation"),
        ),
        (
            pymysql.err.IntegrityError(
                1452,
                "Cannot add or update a child row: (`a`.`b`, CONSTRAINT `team_fk` FOREIGN KEY (`t`) ...)",
            ),
            Failed(
                "a row it refers to does not exist, or a row refers to it (team_fk)", "foreign_key_violation"
            ),
        ),
        (
            pymysql.err.OperationalError(3819, "Check constraint 'adult' is violated."),
            Failed("a check of the table does not hold (adult)", "check_violation"),
        ),
        (
            pymysql.err.DataError(1406, "Data too long for column 'name' at row 7"),
            Failed("name is too long", "string_too_long"),
        ),
        (
            pymysql.err.DataError(1264, "Out of range value for column 'age' at row 1"),
            Failed("age is out of range", "number_out_of_range"),
        ),
        (
            pymysql.err.OperationalError(1366, "Incorrect integer value: 'secret' for column `a`.`b`.`age`"),
            Failed("a value is not of its column's type", "type_mismatch"),
        ),
    ],
)
def test_a_row_at_fault_gets_its_slug_and_no_text_shows_a_value(error: Exception, failed: Failed) -> None:
    found = sorted_error(error)
    assert isinstance(found, RowRefused)
    assert found.failed == failed


@pytest.mark.parametrize(
    ("error", "kind", "is_lost"),
    [
        (pymysql.err.OperationalError(1213, "Deadlock found"), DatabaseConflict, False),
        (pymysql.err.OperationalError(2013, "Lost connection"), DatabaseUnavailable, True),
        (ConnectionRefusedError(111, "refused"), DatabaseUnavailable, True),
        (pymysql.err.InterfaceError("(0, 'Not connected')"), DatabaseUnavailable, True),
    ],
)
def test_what_may_pass_is_no_fault_of_a_row(error: Exception, kind: type, *, is_lost: bool) -> None:
    found = sorted_error(error)
    assert isinstance(found, Interrupted)
    assert (type(found.error), found.is_lost) == (kind, is_lost)


def test_the_rest_concerns_the_statement_or_the_server() -> None:
    assert isinstance(sorted_error(pymysql.err.ProgrammingError(1146, "no table")), ConfigurationError)
    assert isinstance(sorted_error(pymysql.err.OperationalError(1045, "denied")), ConfigurationError)
    full = sorted_error(pymysql.err.OperationalError(1114, "The table is full"))
    assert type(full) is DatabaseFailed
