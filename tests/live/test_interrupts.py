"""What SIGINT and SIGTERM do while an application starts, or when something hangs: the first stops it, the second at once."""

import signal
import time

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.slow

HEAD = """
import asyncio
import os
import time
from sanicish import Sanic, text

def say(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())

app = Sanic("stuck")
app.get("/")(lambda request: text(str(os.getpid())))
app.after_server_stop(lambda app: say("stopped"))
"""
WAITS = """
@app.before_server_start
async def wait(app):
    say("hangs")
    await asyncio.Event().wait()
"""
IGNORES = """
@app.before_server_start
async def ignore(app):
    say("hangs")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("ignored")
"""
BLOCKS = """
@app.before_server_start
async def block(app):
    say("hangs")
    time.sleep(600)
"""
THREAD = """
@app.before_server_start
async def thread(app):
    say("hangs")
    await asyncio.to_thread(time.sleep, 600)
"""
IMPORTS = """
if os.path.exists("hang"):
    say("hangs")
    time.sleep(600)
"""
LATE = WAITS.replace("before_server_start", "after_server_start")

HANDLER = """
@app.get("/hang")
async def hang(request):
    say("hangs")
    time.sleep(600)
"""

both_loops = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
all_ways = pytest.mark.parametrize("workers", [1, 2])


def command(loop="uvloop", workers=1, **options):
    more = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["-m", "sanicish", "hangs:app", "--port", "0", "--loop", loop, "--workers", str(workers), *more]


def hanging(program, count):
    """The ids of so many processes that hang."""
    return {int(program.read_until("hangs").split()[1]) for _ in range(count)}


def is_alive(pid):
    """Whether a process runs; one that its parent has not asked after yet is dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)


@all_ways
@both_signals
@both_loops
@pytest.mark.parametrize("source", [WAITS, LATE], ids=["before", "after"])
def test_the_first_signal_gives_up_a_start_that_waits(start, loop, number, workers, source):
    program = start(*command(loop, workers), hangs=HEAD + source)
    pids = hanging(program, workers)
    program.process.send_signal(number)
    said = program.end()
    assert program.process.returncode == 0
    assert said["stopped", "main" if workers == 1 else "worker"] == workers
    assert sum("stopped before the start was complete" in line for line in program.lines) == workers
    gone(pids)


def catches(pid, number):
    """Whether a process has a handler of its own for a signal."""
    with open(f"/proc/{pid}/status") as file:
        (mask,) = [line.split()[1] for line in file if line.startswith("SigCgt")]
    return bool(int(mask, 16) >> (number - 1) & 1)


@both_signals
@both_loops
@pytest.mark.parametrize("source", [IGNORES, THREAD], ids=["ignores", "thread"])
def test_the_second_signal_ends_what_does_not_let_itself_be_cancelled(start, loop, number, source):
    program = start(*command(loop), hangs=HEAD + source)
    hanging(program, 1)
    program.process.send_signal(number)
    program.read_until("ignored" if source is IGNORES else "stopped before the start was complete")
    assert program.process.poll() is None
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == 1
    assert any("Timeout" in line for line in program.lines)
    assert any("hangs.py" in line or "thread.py" in line for line in program.lines), "it says where"


@both_signals
@both_loops
def test_the_second_signal_ends_a_start_that_blocks_the_loop(start, loop, number):
    program = start(*command(loop), hangs=HEAD + BLOCKS)
    hanging(program, 1)
    assert catches(program.pid, number)
    program.process.send_signal(number)
    wait_until(lambda: not catches(program.pid, number))
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == -number


@both_signals
@both_loops
def test_the_second_signal_ends_a_server_whose_loop_is_blocked(start, loop, number):
    program = start(*command(loop), hangs=HEAD + HANDLER).serving()
    with pytest.raises(TimeoutError):
        program.ask("/hang", timeout=0.3)
    hanging(program, 1)
    program.process.send_signal(number)
    wait_until(lambda: not catches(program.pid, number))
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == -number


@both_signals
@both_loops
def test_the_second_signal_ends_a_stop_that_blocks_the_loop(start, loop, number):
    program = start(*command(loop), hangs=HEAD + BLOCKS.replace("before_server_start", "before_server_stop")).serving()
    program.process.send_signal(number)
    hanging(program, 1)
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == 1
    assert any("hangs.py" in line for line in program.lines), "it says where"


# Workers


@both_signals
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("source", [IGNORES, BLOCKS, THREAD], ids=["ignores", "blocks", "thread"])
def test_the_second_signal_ends_workers_that_hang_as_they_start(start, loop, number, source):
    program = start(*command(loop, workers=2), hangs=HEAD + source)
    pids = hanging(program, 2)
    program.process.send_signal(number)
    if source is BLOCKS:
        wait_until(lambda: not any(catches(pid, signal.SIGTERM) for pid in pids))
    else:
        for _ in range(2):
            program.read_until("ignored" if source is IGNORES else "stopped before the start was complete")
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == 0
    gone(pids, 0)


@both_signals
def test_the_second_signal_ends_workers_whose_loop_is_blocked(start, number):
    program = start(*command(workers=2), hangs=HEAD + HANDLER).serving()
    with pytest.raises(TimeoutError):
        program.ask("/hang", timeout=0.3)
    pids = hanging(program, 1)
    others = program.workers(1) - pids
    program.process.send_signal(number)
    gone(others)
    assert program.process.poll() is None
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == 0
    gone(pids, 0)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("source", [WAITS, IGNORES, BLOCKS, THREAD], ids=["waits", "ignores", "blocks", "thread"])
def test_workers_that_start_do_not_outlive_a_killed_supervisor(start, loop, source):
    program = start(*command(loop, workers=2), hangs=HEAD + source)
    pids = hanging(program, 2)
    program.process.kill()
    program.process.wait(10)
    gone(pids)


def test_workers_that_are_imported_do_not_outlive_a_killed_supervisor(start, tmp_path):
    program = start(*command(workers=2), hangs=HEAD + IMPORTS).serving()
    others = program.workers(2)
    (tmp_path / "hang").touch()
    program.process.send_signal(signal.SIGHUP)
    pids = hanging(program, 1)
    program.process.kill()
    program.process.wait(10)
    gone(pids | others)


def test_workers_whose_loop_is_blocked_do_not_outlive_a_killed_supervisor(start):
    program = start(*command(workers=2, timeout_worker=1), hangs=HEAD + HANDLER).serving()
    others = program.workers(2)
    with pytest.raises(TimeoutError):
        program.ask("/hang", timeout=0.3)
    hanging(program, 1)
    program.process.kill()
    program.process.wait(10)
    gone(others)


def test_a_worker_that_hangs_as_it_is_imported_does_not_hold_up_the_next_renewal(start, tmp_path):
    program = start(*command(workers=2), hangs=HEAD + IMPORTS).serving()
    before = program.workers(2)
    (tmp_path / "hang").touch()
    program.process.send_signal(signal.SIGHUP)
    pids = hanging(program, 1)
    assert program.workers(2) == before
    (tmp_path / "hang").unlink()
    program.process.send_signal(signal.SIGHUP)
    program.workers(2, without=before)
    gone(pids)
