"""Real processes: what handlers raise does not end them, and Ctrl-C does."""

import signal
import urllib.error

import pytest

pytestmark = pytest.mark.slow

SOURCE = """
import asyncio
import os
import sys
from sanicish import Sanic, text

def say(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())

app = Sanic("raised")
app.get("/")(lambda request: text(str(os.getpid())))
app.before_server_stop(lambda app: say("before_stop"))
app.after_server_stop(lambda app: say("after_stop"))

@app.get("/exit")
async def leave(request):
    sys.exit(3)

@app.get("/interrupt")
def interrupt(request):
    raise KeyboardInterrupt('by itself')

@app.get("/task")
async def task(request):
    async def work():
        sys.exit(4)

    app.add_task(work())
    return text("begun")
"""
WITHOUT_SIGNALS = (
    SOURCE
    + """
if __name__ == "__main__":
    app.config.USE_UVLOOP = sys.argv[1] == "uvloop"
    app.run(port=0, register_sys_signals=False)
"""
)

both_loops = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


@both_loops
@pytest.mark.parametrize("workers", [1, 2])
def test_exit_of_a_handler_or_task_is_a_500_and_nobody_ends(start, loop, workers):
    arguments = ("-m", "sanicish", "raised:app", "--port", "0", "--loop", loop, "--workers", workers)
    program = start(*arguments, raised=SOURCE).serving()
    before = program.workers(workers)
    for path in ("/exit", "/interrupt") * 4:
        with pytest.raises(urllib.error.HTTPError, match="500"):
            program.ask(path)
    for _ in range(4):
        assert program.ask("/task") == "begun"
    assert program.workers(workers) == before
    program.process.send_signal(signal.SIGINT)
    said = program.end()
    assert program.process.returncode == 0
    assert said["after_stop", "main" if workers == 1 else "worker"] == workers
    text = "".join(program.lines)
    assert text.count("SystemExit: 3") == text.count("KeyboardInterrupt: by itself") == 4
    assert text.count("SystemExit: 4") >= 4


@both_loops
def test_ctrl_c_without_our_signals_runs_the_listeners_of_the_stop(start, loop):
    program = start("raised.py", loop, raised=WITHOUT_SIGNALS).serving()
    assert program.ask() == str(program.pid)
    program.process.send_signal(signal.SIGINT)
    said = program.end()
    assert (said["before_stop", "main"], said["after_stop", "main"]) == (1, 1)
    assert "KeyboardInterrupt" in "".join(program.lines)
