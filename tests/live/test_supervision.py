"""Workers that hang, crash, or cannot be started: the others serve, the log tells, and they are replaced."""

import json
import os
import resource
import signal
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio
import os
import time
from sanicish import Sanic, text

app = Sanic("pool")

@app.get("/")
async def who(request):
    return text(str(os.getpid()))

@app.get("/hang")
async def hang(request):
    while True:
        pass

@app.get("/sleep")
async def sleep(request):
    os.write(1, f"sleeps {os.getpid()}\\n".encode())
    time.sleep(600)

@app.get("/wait")
async def wait(request):
    await asyncio.sleep(1.5)
    return text(str(os.getpid()))

@app.get("/crash")
async def crash(request):
    os.kill(os.getpid(), 11)
"""


def command(*options, workers=2):
    return ["-m", "sanicish", "pool:app", "--port", "0", "--workers", str(workers), "--no-access-log", *options]


@pytest.mark.parametrize("path", ["/hang", "/sleep"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_worker_that_hangs_is_replaced_and_its_stack_is_logged(start, path, loop):
    program = start(*command("--timeout-worker", "0.5", "--loop", loop), pool=PROGRAM).serving()
    before = program.workers(2)
    with pytest.raises(OSError):  # the worker is ended
        program.ask(path)
    line = program.read_until("hung (exit 1):")
    (victim,) = [pid for pid in before if f"worker {pid} " in line]
    stack = [program.read_until("File ") for _ in range(3)]
    assert any('pool.py", line' in line and f"in {path[1:]}" in line for line in stack)
    after = program.workers(2, without={victim})
    assert len(after & before) == 1


def test_the_stack_is_one_record_of_json(start):
    program = start(*command("--timeout-worker", "0.5", "--log-format", "json"), pool=PROGRAM).serving()
    with pytest.raises(OSError):
        program.ask("/hang")
    told = json.loads(program.read_until("hung (exit 1)"))
    assert told["level"] == "ERROR" and "in hang" in told["message"]


def test_a_worker_that_is_frozen_is_replaced(start):
    program = start(*command("--timeout-worker", "0.5"), pool=PROGRAM).serving()
    victim, *_ = before = program.workers(2)
    os.kill(victim, signal.SIGSTOP)
    assert f"worker {victim} did not respond in time; it is killed" in program.read_until("did not respond")
    assert len(program.workers(2, without={victim}) & set(before)) == 1


def test_a_worker_that_waits_or_has_nothing_to_do_is_not_replaced(start):
    program = start(*command("--timeout-worker", "0.3"), pool=PROGRAM).serving()
    before = program.workers(2)
    assert int(program.ask("/wait")) in before
    assert program.workers(2) == before


@pytest.mark.parametrize(
    "options", [("--debug",), ("--timeout-worker", "none"), ("--timeout-worker", "0")], ids=" ".join
)
def test_a_worker_may_hang_if_that_is_asked_for(start, options):
    program = start(*command("--timeout-worker", "0.3", *options), pool=PROGRAM).serving()
    before = program.workers(2)
    with pytest.raises(TimeoutError):
        program.ask("/sleep", timeout=3)
    pid = int(program.read_until("sleeps").split()[1])
    os.kill(pid, 0)
    (other,) = before - {pid}
    assert program.workers(1) == {other}
    os.kill(pid, signal.SIGKILL)


def test_a_worker_that_crashes_is_replaced_and_its_stack_is_logged(start):
    program = start(*command(), pool=PROGRAM).serving()
    with pytest.raises(OSError):
        program.ask("/crash")
    program.read_until("ended by itself (signal 11):")
    assert "Fatal Python error: Segmentation fault" in program.read_until("Fatal")
    program.read_until("in crash")
    program.workers(2)


def test_a_worker_that_hangs_as_it_starts_is_killed_and_its_stack_is_logged(start, tmp_path):
    program = start(*command("--timeout-start", "2"), pool=PROGRAM).serving()
    before = program.workers(2)
    (tmp_path / "pool.py").write_text(f"def wait():\n    while True:\n        pass\n\nwait()\n{PROGRAM}")
    program.process.send_signal(signal.SIGHUP)
    program.read_until("did not become ready in time; it is killed")
    program.read_until("hung (signal 9):")
    program.read_until("in wait")
    assert program.workers(2) == before


# Starts that cannot be


@pytest.fixture
def python(tmp_path):
    """An interpreter that can be taken away."""
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    return link


def test_an_interpreter_that_is_gone_stops_nobody_and_is_used_when_it_is_back(start, python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.path += {sys.path!r}\n")
    program = start(*command(), pool=PROGRAM, executable=python, env={"PYTHONPATH": str(tmp_path)}).serving()
    before = program.workers(2)
    python.rename(tmp_path / "away")
    program.process.send_signal(signal.SIGHUP)
    for _ in range(3):
        assert f"a worker cannot be started: [Errno 2] No such file or directory: '{python}'" in program.read_until(
            "cannot be started"
        )
    assert program.workers(2) == before
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)
    program.read_until(f"worker {victim} ended by itself (signal 9)")
    program.read_until("cannot be started")
    assert program.workers(1) == before
    (tmp_path / "away").rename(python)
    program.workers(2, without={victim, *before})


def test_a_supervisor_without_descriptors_goes_on_and_starts_workers_when_it_has_some(start):
    program = start(*command(), pool=PROGRAM).serving()
    before = program.workers(2)
    used = max(int(name) for name in os.listdir(f"/proc/{program.pid}/fd")) + 1
    soft, hard = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (used, hard))
    program.process.send_signal(signal.SIGHUP)
    program.read_until("a worker cannot be started: [Errno 24] Too many open files")
    os.kill(before.pop(), signal.SIGKILL)
    program.read_until("a worker cannot be started: [Errno 24] Too many open files")
    assert program.workers(1) == before
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (soft, hard))
    program.workers(2, without=before)


def test_a_supervisor_that_can_start_nobody_at_first_says_so_and_ends(start, python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.path += {sys.path!r}\n")
    leaves = f"@app.main_process_start\ndef leave(app):\n    os.unlink({str(python)!r})\n"
    program = start(*command(), pool=PROGRAM + leaves, executable=python, env={"PYTHONPATH": str(tmp_path)})
    program.end()
    assert program.process.returncode == 1
    assert "a worker cannot be started: [Errno 2]" in program.lines[-1]


def test_no_descriptor_is_left_open_by_workers_that_come_and_go(start):
    program = start(*command(), pool=PROGRAM).serving()
    count = len(os.listdir(f"/proc/{program.pid}/fd"))
    before = program.workers(2)
    for _ in range(3):
        program.process.send_signal(signal.SIGHUP)
        before = program.workers(2, without=before)
    while len(os.listdir(f"/proc/{program.pid}/fd")) != count:
        pass
