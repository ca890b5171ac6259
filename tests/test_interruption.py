"""What comes from outside of a task is told apart from what its own code raises."""

import asyncio
import signal
from contextlib import contextmanager

import pytest

from sanicish.interruption import Contained, contained, is_cancellation, is_interruption, is_of_signal, original


class Own(BaseException):
    """No ``Exception``."""


def caught(act):
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@contextmanager
def handling(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def leave(number, frame):
    raise SystemExit(number)


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), KeyboardInterrupt(), Own(), GeneratorExit()])
def test_what_code_raises_is_of_no_signal(error):
    assert not is_of_signal(caught(raising(error)))


def test_ctrl_c_is_a_signal():
    with handling(signal.default_int_handler):
        error = caught(interrupt)
        assert is_of_signal(error)
        assert is_interruption(error)


def test_so_is_what_a_handler_of_a_signal_raises():
    with handling(leave):
        error = caught(interrupt)
        assert isinstance(error, SystemExit)
        assert is_interruption(error)


def test_so_is_the_second_ctrl_c_of_asyncio():
    seen = []

    async def work():
        interrupt()  # cancels the main task
        seen.append(is_interruption(caught(interrupt)))

    with handling(signal.default_int_handler), asyncio.Runner() as runner, pytest.raises(KeyboardInterrupt):
        runner.run(work())
    assert seen == [True]


async def test_cancellation_is_one_that_somebody_has_asked_for():
    async def own():
        return is_interruption(caught(raising(asyncio.CancelledError())))

    assert not await asyncio.create_task(own())
    seen = []

    async def waits():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append((is_cancellation(error), is_interruption(error)))
            raise

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert seen == [(True, True)]
    assert not is_cancellation(ValueError())


def test_coroutine_that_is_closed_is_interrupted():
    seen = []

    async def waits():
        try:
            await asyncio.Event().wait()
        except GeneratorExit as error:
            seen.append(is_interruption(error))
            raise

    loop = asyncio.new_event_loop()
    coroutine = contained(waits())
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.tasks._unregister_task(task)
    coroutine.close()
    loop.close()
    assert seen == [True]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Own(), GeneratorExit()])
async def test_what_a_task_would_hand_to_the_loop_is_contained(error):
    async def work():
        raise error

    task = asyncio.create_task(contained(work()))
    await asyncio.wait([task])
    assert isinstance(task.exception(), Contained)
    assert original(task.exception()) is error


async def test_exception_and_cancellation_stay_what_they_are():
    async def work(error):
        raise error

    with pytest.raises(ValueError, match="it"):
        await contained(work(ValueError("it")))
    with pytest.raises(asyncio.CancelledError):
        await contained(work(asyncio.CancelledError()))
    plain = ValueError()
    assert original(plain) is plain
