"""What is raised in a task to end it, told apart from what its own code raises.

A task hands ``SystemExit`` and ``KeyboardInterrupt`` on to its loop, which ends with them. So whatever code of the
application raises is caught within the coroutine that called it, as long as it is no interruption.
"""

import asyncio
import signal
from collections.abc import Coroutine
from functools import partial
from opcode import opmap
from types import CodeType
from typing import Any, TypeVar

__all__ = ["Contained", "contained", "is_cancellation", "is_interruption", "is_of_signal", "original"]

T = TypeVar("T")

_RAISE = opmap["RAISE_VARARGS"]  # the instruction of a raise statement


class Contained(Exception):
    """Stands for what code raised that is no ``Exception``, its cause, where a task would hand that to its loop."""


def is_cancellation(error: BaseException) -> bool:
    """Whether somebody has cancelled the task that runs; False for a ``CancelledError`` that its own code raises."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = _current_task()
    return task is not None and task.cancelling() > 0


def is_interruption(error: BaseException) -> bool:
    """Whether an error comes from outside: a cancellation, a signal such as Ctrl-C, or the closing of the coroutine."""
    if isinstance(error, Exception):
        return False
    if isinstance(error, asyncio.CancelledError):
        return is_cancellation(error)
    if isinstance(error, GeneratorExit):
        return _current_task() is None
    return is_of_signal(error)


def is_of_signal(error: BaseException) -> bool:
    """Whether the handler of a signal, such as Ctrl-C, has raised an error in the middle of what ran.

    For plain functions: nothing else interrupts them.
    """
    if isinstance(error, Exception):
        return False
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        code, last = trace.tb_frame.f_code, trace.tb_lasti
        if code in codes:
            return True
        trace = trace.tb_next
        if trace is None:  # Python's own handler of Ctrl-C has no frame: it raises where nothing is raised
            return isinstance(error, KeyboardInterrupt) and code.co_code[last] != _RAISE
    return False


def original(error: BaseException) -> BaseException:
    """What was raised, if an error stands for it."""
    return error.__cause__ if isinstance(error, Contained) and error.__cause__ is not None else error


async def contained(work: Coroutine[Any, Any, T]) -> T:
    """Await work in a task of its own; what it raises that is neither ``Exception`` nor interruption is ``Contained``."""
    try:
        return await work
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        if is_interruption(error):
            raise
        raise Contained(f"{type(error).__name__} was raised: {error}") from error


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None


def _code_of(handler: Any) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__code__", None)
