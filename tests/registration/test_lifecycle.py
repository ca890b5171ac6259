"""Listeners of start and stop, and tasks beside the server."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import pytest

from sanicish.registration.lifecycle import Lifecycle


@pytest.fixture
def life():
    return Lifecycle()


@pytest.fixture
def owner():
    """An application, as far as its life looks at it."""
    return SimpleNamespace(config={"STREAM_CLEANUP_TIMEOUT": 5})


async def start(life, owner):
    await life.run(owner, "before_server_start")
    await life.run(owner, "after_server_start")


async def stop(life, owner):
    await life.run(owner, "before_server_stop")
    await life.run(owner, "after_server_stop")


# Listeners


async def test_listener_gets_application_and_loop(life, owner):
    seen = []
    life.add_listener(lambda app, loop: seen.append((app, loop)), "before_server_start")
    await start(life, owner)
    assert seen == [(owner, asyncio.get_running_loop())]


async def test_listener_may_take_the_application_alone(life, owner):
    seen = []
    life.add_listener(lambda app: seen.append(app), "before_server_start")
    await start(life, owner)
    assert seen == [owner]


async def test_listener_may_be_added_to_the_list_itself(life, owner):
    seen = []
    life.listeners["before_server_start"].append(lambda app, loop: seen.append(app))
    await start(life, owner)
    assert seen == [owner]


async def test_async_listeners_are_awaited(life, owner):
    seen = []

    async def listener(app, loop):
        await asyncio.sleep(0)
        seen.append("done")

    life.add_listener(listener, "after_server_start")
    await start(life, owner)
    assert seen == ["done"]


class Opener:
    """A listener that is no function."""

    def __init__(self):
        self.opened = 0

    async def __call__(self, app, loop):
        self.opened += 1

    def method(self, app):
        self.opened += 10


async def test_listener_may_be_an_object_a_method_or_a_partial(life, owner):
    opener = Opener()
    seen = []
    life.add_listener(opener, "before_server_start")
    life.add_listener(opener.method, "before_server_start")
    life.add_listener(partial(lambda word, app, loop: seen.append(word), "bound"), "before_server_start")
    life.add_listener(lambda *both: seen.append(len(both)), "before_server_start")
    await start(life, owner)
    assert (opener.opened, seen) == (11, ["bound", 2])


async def test_default_of_a_listener_is_not_filled_with_the_loop(life, owner):
    seen = []
    life.add_listener(lambda app, retries=3: seen.append(retries), "before_server_start")
    life.add_listener(lambda app, loop=None: seen.append(loop), "before_server_start")
    await start(life, owner)
    assert seen == [3, asyncio.get_running_loop()]


async def test_listener_whose_signature_cannot_be_read_gets_both(life, owner):
    class Unreadable(Opener):
        __signature__ = "none"

    opener = Unreadable()
    life.add_listener(opener, "before_server_start")
    await start(life, owner)
    assert opener.opened == 1


async def test_listeners_of_start_run_in_order_and_those_of_stop_in_reverse(life, owner):
    order = []
    for event in ("before_server_start", "after_server_start", "before_server_stop", "after_server_stop"):
        for number in (1, 2):
            life.add_listener(lambda app, word=f"{event} {number}": order.append(word), event)
    await start(life, owner)
    await stop(life, owner)
    assert order == [
        "before_server_start 1",
        "before_server_start 2",
        "after_server_start 1",
        "after_server_start 2",
        "before_server_stop 2",
        "before_server_stop 1",
        "after_server_stop 2",
        "after_server_stop 1",
    ]


async def test_listener_that_fails_at_start_stops_the_start_and_says_which(life, owner):
    async def connect(app):
        raise OSError("no database")

    life.add_listener(connect, "before_server_start")
    life.add_listener(lambda app: pytest.fail("a listener after the one that failed"), "before_server_start")
    with pytest.raises(OSError, match="no database") as caught:
        await life.run(owner, "before_server_start")
    assert caught.value.__notes__ == [f"in the before_server_start listener {connect.__qualname__}"]


async def test_listener_that_fails_at_stop_is_logged_and_the_others_run(life, owner, caplog):
    closed = []
    life.add_listener(lambda app: closed.append("pool"), "after_server_stop")

    def broken(app):
        raise OSError("already closed")

    life.add_listener(broken, "after_server_stop")
    await start(life, owner)
    await stop(life, owner)
    assert closed == ["pool"]
    assert "the after_server_stop listener" in caplog.text and "already closed" in caplog.text


async def test_loop_is_known_from_the_start_to_the_end(life, owner):
    assert life.loop is None
    await life.run(owner, "before_server_start")
    assert life.loop is asyncio.get_running_loop()
    await stop(life, owner)
    assert life.loop is None


async def test_stopping_begins_with_the_first_listener_of_stop(life, owner):
    seen = []
    life.add_listener(lambda app: seen.append(life.stopping), "before_server_stop")
    await start(life, owner)
    assert not life.stopping
    await stop(life, owner)
    assert seen == [True]


async def test_second_start_is_not_stopping(life, owner):
    await start(life, owner)
    await stop(life, owner)
    await start(life, owner)
    assert not life.stopping


# Tasks


async def run_to_end(life, owner, *tasks):
    await start(life, owner)
    made = [life.add_task(owner, task, None) for task in tasks]
    return await asyncio.gather(*made)


async def test_task_may_be_a_coroutine(life, owner):
    async def work():
        return 1

    assert await run_to_end(life, owner, work()) == [1]


async def test_task_may_be_a_function_that_makes_a_coroutine(life, owner):
    async def work():
        return 2

    assert await run_to_end(life, owner, work, lambda: work()) == [2, 2]


async def test_function_of_a_task_is_given_the_application_if_it_takes_it(life, owner):
    async def work(app):
        return app

    assert await run_to_end(life, owner, work) == [owner]


async def test_tasks_added_before_the_start_run_once_it_has_begun(life, owner):
    order = []

    async def coroutine():
        order.append("coroutine")

    async def function(app):
        order.append("function")

    assert life.add_task(owner, coroutine(), None) is None
    assert life.add_task(owner, function, None) is None
    life.add_listener(lambda app: order.append("listener"), "before_server_start")
    await start(life, owner)
    await asyncio.sleep(0)
    assert order == ["listener", "coroutine", "function"]


async def test_function_added_before_the_start_runs_at_every_start_and_a_coroutine_at_the_first(life, owner):
    ran = []

    async def work(word):
        ran.append(word)

    life.add_task(owner, lambda: work("function"), None)
    life.add_task(owner, work("coroutine"), None)
    for _ in range(2):
        await start(life, owner)
        await asyncio.sleep(0)
        await stop(life, owner)
    assert ran == ["function", "coroutine", "function"]


async def test_task_has_the_name_it_was_given(life, owner):
    await start(life, owner)
    task = life.add_task(owner, asyncio.sleep(0), "sleeper")
    assert task.get_name() == "sleeper"
    await task


async def endless():
    await asyncio.Event().wait()


async def test_tasks_are_cancelled_at_the_end_before_listeners_close_what_they_use(life, owner):
    order = []

    async def work():
        try:
            await endless()
        finally:
            order.append("task")

    life.add_listener(lambda app: order.append("pool"), "after_server_stop")
    life.add_listener(lambda app: order.append("still running"), "before_server_stop")
    await start(life, owner)
    life.add_task(owner, work, None)
    await asyncio.sleep(0)
    await stop(life, owner)
    assert order == ["still running", "task", "pool"]


async def test_task_that_a_last_listener_adds_is_cancelled_too(life, owner):
    tasks = []
    life.add_listener(lambda app: tasks.append(life.add_task(app, endless, None)), "after_server_stop")
    await start(life, owner)
    await stop(life, owner)
    assert tasks[0].cancelled()


async def test_task_may_stop_the_server_it_runs_beside(life, owner):
    await start(life, owner)
    task = life.add_task(owner, stop(life, owner), None)
    await asyncio.wait_for(task, 5)
    assert life.loop is None


async def test_task_that_will_not_end_is_left_behind_and_named(life, owner, caplog):
    release = asyncio.Event()

    async def stubborn():
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    owner.config["STREAM_CLEANUP_TIMEOUT"] = 0.01
    await start(life, owner)
    task = life.add_task(owner, stubborn, "mule")
    await asyncio.sleep(0)
    await stop(life, owner)
    assert "the task mule did not end" in caplog.text
    release.set()
    await task


async def test_failed_task_is_logged_with_its_name(life, owner, caplog):
    async def work():
        raise ValueError("lost")

    await start(life, owner)
    task = life.add_task(owner, work, "worker")
    with caplog.at_level(logging.ERROR, "sanicish.error"):
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert "the task worker failed" in caplog.text and "lost" in caplog.text


async def test_cancelled_task_is_not_logged(life, owner, caplog):
    await start(life, owner)
    task = life.add_task(owner, endless, None)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not caplog.records
