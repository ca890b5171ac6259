"""A server whose log nobody reads: it goes on, says how many lines it dropped, and loses none of the others."""

import http.client
import json
import os
import select
import signal
import urllib.request

import pytest

from tests.doubles.command import started

pytestmark = pytest.mark.slow

PROGRAM = """
from sanicish import Sanic, text
from sanicish.metrics import metrics

app = Sanic("talks")
app.blueprint(metrics())


@app.get("/")
async def hello(request):
    return text("hello")


@app.get("/fail")
async def fail(request):
    raise ValueError("x" * 200)
"""

LINE = 80  # bytes at least, of the access log
HELD = 64 * 1024  # bytes that a pipe takes


class Talking:
    """A server whose standard output and error nobody reads after the first line."""

    def __init__(self, folder, *options):
        (folder / "talks.py").write_text(PROGRAM)
        self.process = started("talks:app", "-p", 0, *options, cwd=folder)
        self.descriptor = self.process.stdout.fileno()
        self.lines = []
        self.rest = b""
        line = self.read_until("Ctrl-C stops")
        self.host, port = line.split("http://")[1].split(" (")[0].split(":")
        self.port = int(port)

    def read_until(self, words):
        """Read lines until one has these words."""
        held = self.rest
        while True:
            while b"\n" in held:
                line, _, held = held.partition(b"\n")
                self.lines.append(line.decode())
                if words in self.lines[-1]:
                    self.rest = held
                    return self.lines[-1]
            assert select.select([self.descriptor], [], [], 20)[0], self.lines[-3:]
            piece = os.read(self.descriptor, 65_536)
            assert piece, self.lines[-3:]
            held += piece

    def ask(self, path, times):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        for _ in range(times):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == (500 if path == "/fail" else 200)
        connection.close()

    def dropped(self):
        with urllib.request.urlopen(f"http://{self.host}:{self.port}/metrics", timeout=20) as answer:
            page = answer.read().decode()
        (line,) = [one for one in page.splitlines() if one.startswith("sanicish_dropped_log_lines_total ")]
        return float(line.split(" ")[1])


@pytest.fixture
def talking(tmp_path, options):
    made = Talking(tmp_path, *options)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait(10)
    made.process.stdout.close()


BOTH_LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--loop", "asyncio"),
        ("--log-format", "json"),
        ("--workers", "2"),
        ("--workers", "2", "--loop", "asyncio", "--log-format", "json"),
    ],
    ids=" ".join,
)
def test_it_goes_on_and_every_line_is_there_when_somebody_reads_again(talking):
    asked = 3 * HELD // LINE
    talking.ask("/", asked)
    talking.process.send_signal(signal.SIGTERM)
    rest = talking.process.communicate(timeout=30)[0]
    assert talking.process.returncode == 0
    lines = [line for line in (talking.rest.decode() + rest).splitlines() if "GET /" in line]
    assert len(lines) == asked
    if "json" in talking.process.args:
        assert {json.loads(line)["status"] for line in lines} == {200}


@pytest.mark.parametrize("path", ["/", "/fail"])
@pytest.mark.parametrize("options", [("--log-queue", "10k"), ("--log-queue", "10k", "--workers", "2")], ids=" ".join)
def test_what_is_too_much_is_dropped_counted_and_told_when_it_recovers(talking, path):
    talking.ask(path, 4 * HELD // LINE)
    while not talking.dropped():  # a worker counts every second
        pass
    talking.read_until("dropped: the log could not be written fast enough")
    while "/?again" not in talking.lines[-1]:  # the first ones may come while it is still too much
        talking.ask("/?again", 1)
        talking.read_until("")


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=" ".join)
def test_a_stop_does_not_wait_for_a_reader_that_stalls(talking):
    talking.ask("/", 3 * HELD // LINE)
    talking.process.send_signal(signal.SIGTERM)
    assert talking.process.wait(15) == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=" ".join)
def test_a_reader_that_is_gone_stops_nobody(talking):
    talking.process.stdout.close()
    talking.ask("/", 20)
    talking.process.send_signal(signal.SIGTERM)
    assert talking.process.wait(15) == 0
