"""What runs in which process: programs that call ``run(workers=2)``, started as their users start them."""

import os
import signal
import textwrap

import pytest

pytestmark = pytest.mark.slow

SHOP = """
import os
import threading
from sanicish import Sanic, text

def say(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())

say("module")
app = Sanic("shop")

@app.get("/")
async def who(request):
    return text(f"{os.getpid()} {app.config.get('EXTRA')}")

@app.get("/stop")
async def stop(request):
    app.stop()
    return text("stopping")

for event in ("main_process_start", "main_process_stop", "before_server_start", "after_server_stop"):
    app.register_listener(lambda app, loop, event=event: say(event), event)
"""
RUN = """
say("before")
app.run(port=0, workers=2, access_log=False)
say("after")
"""
GUARDED = SHOP + "\nif __name__ == '__main__':\n" + textwrap.indent(RUN, "    ")
IMPORTING = "from shop import app, say\n" + RUN
MADE = "def make():\n" + textwrap.indent(SHOP, "    ") + "    return app, say\n\napp, say = make()\n"
CHANGED = GUARDED.replace('say("before")', 'say("before")\n    app.config.EXTRA = "changed"')


def stopped(program):
    program.process.send_signal(signal.SIGTERM)
    said = program.end()
    assert program.process.returncode == 0, "".join(program.lines)
    return said


ONCE = {("before", "main"): 1, ("after", "main"): 1}
AGAIN = {**ONCE, ("before", "worker"): 2}
LISTENERS = {
    ("main_process_start", "main"): 1,
    ("main_process_stop", "main"): 1,
    ("before_server_start", "worker"): 2,
    ("after_server_stop", "worker"): 2,
}


@pytest.mark.parametrize(
    ("command", "files", "lines"),
    [
        (["main.py"], {"main": GUARDED}, ONCE),
        (["main.py"], {"main": IMPORTING, "shop": SHOP}, ONCE),
        (["-m", "main"], {"main": GUARDED}, ONCE),
        (["-m", "package"], {"package/__init__": "", "package/__main__": GUARDED}, ONCE),
        (["-m", "package.run"], {"package/__init__": SHOP, "package/run": "from package import *\n" + RUN}, ONCE),
        (["-c", IMPORTING], {"shop": SHOP}, ONCE),
        (["-"], {"shop": SHOP}, ONCE),
        (["main.py"], {"main": SHOP + RUN}, AGAIN),
        (["main.py"], {"main": MADE + RUN}, AGAIN),
        (["main.py"], {"main": CHANGED}, AGAIN),
        (["-c", SHOP + RUN], {}, AGAIN),
    ],
    ids=[
        "guarded",
        "importing",
        "-m module",
        "-m package",
        "-m in a package",
        "-c importing",
        "stdin importing",
        "not guarded",
        "made in a function",
        "changed after the import",
        "-c",
    ],
)
def test_what_stands_before_and_after_run_runs_once_where_the_application_can_be_imported(start, command, files, lines):
    program = start(*command, **files, stdin=IMPORTING if command == ["-"] else None).serving()
    workers = program.workers(2)
    assert program.pid not in workers
    said = stopped(program)
    assert said.pop(("module", "main")) == 1
    assert said.pop(("module", "worker")) >= 2, "a worker imports it, at least once"
    assert said == {**lines, **LISTENERS}
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    "change", ["app.config.EXTRA = 'changed'", "app.add_route(lambda request: text('new'), '/new')", "app.ctx.new = 1"]
)
def test_a_worker_has_all_that_the_application_was_told_before_it_ran(start, change):
    more = "\n@app.get('/told')\nasync def told(request):\n    return text(f\"{app.config.get('EXTRA')} {vars(app.ctx)}\")\n"
    program = start(
        "main.py", main=GUARDED.replace("if __name__", more + "if __name__").replace('say("before")', change)
    )
    program.serving()
    told = program.ask("/new" if "/new" in change else "/told")
    assert told == ("new" if "/new" in change else "changed {}" if "EXTRA" in change else "None {'new': 1}")
    stopped(program)
    assert any("each worker runs the command of this process" in line for line in program.lines)


def test_a_renewal_has_new_code_and_runs_nothing_twice(start, tmp_path):
    program = start("main.py", main=IMPORTING, shop=SHOP).serving()
    before = program.workers(2)
    (tmp_path / "shop.py").write_text(
        SHOP + "\napp.add_route(lambda request: text('new'), '/new')\napp.config.EXTRA = 1\n"
    )
    program.process.send_signal(signal.SIGHUP)
    program.workers(2, without=before)
    assert program.ask("/new") == "new"
    assert stopped(program)["before", "worker"] == 0


def test_arguments_of_run_count_in_workers_too(start):
    more = "\n@app.get('/told')\nasync def told(request):\n    return [app.debug, app.config.ACCESS_LOG, app.config.MAX_REQUESTS]\n"
    source = GUARDED.replace("if __name__", more + "if __name__").replace(
        "access_log=False", "access_log=False, debug=True, max_requests=1000"
    )
    program = start("main.py", main=source).serving()
    assert program.ask("/told") == "[true,false,1000]"
    assert stopped(program)["before", "worker"] == 0


@pytest.mark.parametrize("where", ["worker", "main process"])
def test_the_application_can_stop_everything(start, where):
    wait = "import threading, sys\nthreading.Thread(target=lambda: sys.stdin.readline() and app.stop(), daemon=True).start()\n"
    program = start("main.py", main=IMPORTING if where == "worker" else wait + IMPORTING, shop=SHOP, stdin="").serving()
    workers = program.workers(2)
    if where == "worker":
        assert program.ask("/stop") == "stopping"
    else:
        program.process.stdin.write("stop\n")
        program.process.stdin.close()
        program.process.stdin = None
    said = program.end()
    assert program.process.returncode == 0 and said["after", "main"] == 1
    assert not any("ended by itself" in line for line in program.lines)
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


TEST = """
import os
import unittest
from shop import app

class Case(unittest.TestCase):
    def test_it(self):
        print("\\ntested", flush=True)
        app.run(port=0, workers=2)
"""


@pytest.mark.parametrize(
    "command", [["-m", "pytest", "-s", "-p", "no:cacheprovider", "test_shop.py"], ["-m", "unittest", "test_shop"]]
)
def test_a_test_runner_is_not_started_again_for_each_worker(start, command):
    program = start(*command, shop=SHOP, test_shop=TEST)
    program.end()
    told = "".join(program.lines)
    assert program.process.returncode == 1
    assert [line.strip() for line in program.lines].count("tested") == 1
    assert f"for each worker, and that is {command[1]}: use app.test_client, run(single_process=True), or start" in told


def test_a_program_that_cannot_be_run_again_is_refused(start):
    program = start("-", stdin=SHOP + RUN)
    program.end()
    assert program.process.returncode == 1
    assert "and there is none here: put the application into a module" in program.lines[-1]


def test_the_command_line_runs_nothing_twice(start):
    program = start("-m", "sanicish", "main:app", "--port", "0", "--workers", "2", main=GUARDED).serving()
    program.workers(2)
    said = stopped(program)
    assert said == {("module", "main"): 1, ("module", "worker"): 2, **LISTENERS}


def test_a_worker_is_nothing_to_start_by_hand(start):
    program = start("-c", "from sanicish.command.worker import main; main()")
    program.end()
    assert program.process.returncode == 1
    assert program.lines == ["sanicish.command.worker is started by a supervisor: run(workers=2)\n"]


def test_a_main_process_that_cannot_start_leaves_no_socket_behind(start, tmp_path):
    failing = "@app.main_process_start\nasync def fail(app):\n    raise ValueError('no')\n\n"
    run = RUN.replace("port=0", "unix='s.sock'")
    program = start("main.py", main="from shop import app, say\n" + failing + run, shop=SHOP)
    assert program.end()["after", "main"] == 0
    assert program.process.returncode == 1
    assert program.lines[-2:] == ["ValueError: no\n", "in the main_process_start listener fail\n"]
    assert not (tmp_path / "s.sock").exists()
