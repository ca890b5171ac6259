"""Threads for what may block: as many as are needed, up to a limit, and a queue that work can leave."""

import threading
import time
from functools import partial

import pytest

from sanicish.streams.threads import Threads


@pytest.fixture
def gate():
    """Held back until it is set, at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def held(gate, count=1):
    """A job that waits at the gate, and what counts how many of them have begun."""
    begun = threading.Semaphore(0)

    def job():
        begun.release()
        assert gate.wait(10)

    return job, begun


def test_job_is_done_at_once_until_all_threads_are_busy(gate):
    threads = Threads(most=2)
    job, begun = held(gate)
    assert [threads.run(job), threads.run(job)] == [True, True]
    assert begun.acquire(timeout=10) and begun.acquire(timeout=10)
    done = threading.Event()
    assert threads.run(done.set) is False
    assert not done.is_set()
    gate.set()
    assert done.wait(10)


def test_free_thread_is_used_again():
    threads = Threads(most=5)
    for _ in range(20):
        done = threading.Event()
        assert threads.run(done.set)
        assert done.wait(10)
        while not threads._free:  # it is on its way back
            time.sleep(0.001)
    assert threads.started == 1


def test_jobs_wait_in_order(gate):
    threads = Threads(most=1)
    threads.run(held(gate)[0])
    order, done = [], threading.Event()
    jobs = [lambda number=number: order.append(number) for number in range(5)]
    assert not any(threads.run(one) for one in (*jobs, done.set))
    gate.set()
    assert done.wait(10)
    assert order == [0, 1, 2, 3, 4]


def test_job_that_waits_can_be_withdrawn_and_one_that_began_cannot(gate):
    threads = Threads(most=1)
    job, begun = held(gate)
    threads.run(job)
    assert begun.acquire(timeout=10)
    never, done = threading.Event(), threading.Event()
    withdrawn, last = never.set, done.set
    threads.run(withdrawn)
    threads.run(last)
    assert threads.withdraw(withdrawn) is True
    assert threads.withdraw(withdrawn) is False
    assert threads.withdraw(job) is False
    gate.set()
    assert done.wait(10)
    assert not never.is_set()


def test_many_jobs_from_many_threads_are_all_done():
    threads = Threads(most=4)
    counted = threading.Semaphore(0)

    def hand_in():
        for _ in range(500):
            threads.run(partial(counted.release))  # jobs that are equal would be one

    givers = [threading.Thread(target=hand_in) for _ in range(4)]
    for giver in givers:
        giver.start()
    for _ in range(2_000):
        assert counted.acquire(timeout=10)
    for giver in givers:
        giver.join()
    assert threads.started <= 4
