"""Errors of PostgreSQL as HTTP errors, by SQLSTATE (PostgreSQL manual, appendix A).

One table decides for all helpers. What it does not name is a fault of the server and stays the error that it is (500).
"""

import re
from typing import Any

import asyncpg

from sanicish.exceptions import BadRequest, SanicException, ServiceUnavailable

__all__ = ["refusal"]

_BUSY = "the database is busy"
_GONE = "the database cannot be reached"
_READ_ONLY = "the database is read-only at the moment"

# Code or class of codes: what to say, and seconds for Retry-After. The client may repeat the request unchanged.
_LATER = {
    "08": (_GONE, 5),  # connection exceptions; a pooler's refusals too
    "25006": (_READ_ONLY, 5),
    "25P03": (_GONE, 5),  # idle_in_transaction_session_timeout
    "25P04": (_BUSY, 1),  # transaction_timeout
    "40": (_BUSY, 1),  # deadlock, serialization failure
    "53": (_BUSY, 1),  # insufficient resources
    "55006": (_BUSY, 1),  # object in use
    "55P03": (_BUSY, 1),  # lock not available
    "57014": (_BUSY, 1),  # query cancelled: statement_timeout
    "57P": (_GONE, 5),  # shutting down, starting up, dropped
}

# The client's data is at fault, where the statement has any.
_DATA = {
    "22": 400,  # data exceptions
    "23": 409,  # integrity constraints
    "44": 409,  # WITH CHECK OPTION
    "54": 400,  # program limits, such as the size of an index entry
    "P0001": 400,  # RAISE EXCEPTION
}
# Classes that PostgreSQL itself uses; any other one was chosen by a RAISE ... USING ERRCODE.
_OWN = re.compile("0[012389ABFLPZ]|2[0-8BDF]|3[489BDF]|4[024]|5[34578]|72|F0|HV|P0|XX")
_PLACE = re.compile(r"^COPY .*?, (line \d+(?:, column \w+)?)", re.MULTILINE)  # not the line of a trigger's code


def refusal(error: BaseException, given: bool, uploaded: bool = False) -> SanicException | None:
    """The HTTP error for what a database or its driver raised; ``None`` if the server itself is at fault.

    ``given`` says that the statement had data of the client, and ``uploaded`` that this was its whole purpose.
    """
    if isinstance(error, TimeoutError):  # command_timeout
        return _later(_BUSY, 1)
    if isinstance(error, OSError | asyncpg.TargetServerAttributeNotMatched):
        return _later(_GONE, 5)
    if not isinstance(error, asyncpg.PostgresError):
        return None
    code = error.sqlstate or ""
    later = _LATER.get(code) or _LATER.get(code[:3]) or _LATER.get(code[:2])
    if later is not None:
        return _later(*later)
    if not given or (code == "22012" and not uploaded):  # a division by zero is more often the query's fault
        return None
    if isinstance(error.__cause__, TypeError):  # the driver was given an argument of another Python type
        return None
    status = _DATA.get(code) or _DATA.get(code[:2]) or (None if _OWN.match(code) else 400)
    if status == 400:
        return BadRequest(_said(error))
    return None if status is None else SanicException(_said(error), status)


def _later(message: str, seconds: int) -> ServiceUnavailable:
    return ServiceUnavailable(message, headers={"Retry-After": str(seconds)})


def _said(error: Any) -> str:
    """The database's message, with the line of an upload but without the names of tables."""
    message = str(error.message or error)
    place = _PLACE.search(error.context or "")
    return f"{message} ({place[1]})" if place else message
