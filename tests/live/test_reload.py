"""A command that reloads: what is saved is served, whatever is open and however broken it was."""

import os
import re
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.doubles.command import started

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio
from sanicish import Sanic, text
app = Sanic("saved")

@app.get("/")
async def version(request):
    return text("VERSION")

@app.get("/endless")
async def endless(request):
    response = await request.respond(content_type="text/plain")
    while True:
        await response.send("x")
        await asyncio.sleep(0.02)
"""


class Reloading:
    """The process, and what it says."""

    def __init__(self, folder):
        self.folder = folder
        self.save("one")
        os.utime(self.folder / "saved.py", (1e9, 1e9))  # long ago, so that what is saved next is another second's
        env = {"SANICISH_GRACEFUL_SHUTDOWN_TIMEOUT": "30", "PYTHONDONTWRITEBYTECODE": ""}
        self.process = started("saved:app", "-p", 0, "--reload", "--no-access-log", cwd=folder, env=env)
        line = self.process.stdout.readline()
        found = re.search(r"http://([0-9.]+):([0-9]+)", line)
        assert found, line + self.process.stdout.read()
        self.url, self.address = found[0], (found[1], int(found[2]))

    def save(self, version, more=""):
        (self.folder / "saved.py").write_text(PROGRAM.replace("VERSION", version) + more)

    def says(self, words):
        for line in self.process.stdout:
            if words in line:
                return
        raise AssertionError(f"it never said {words!r}")

    def answers(self, version):
        deadline = time.monotonic() + 20
        while self.ask() != version:
            assert time.monotonic() < deadline, f"{version} was never served"

    def ask(self):
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture
def reloading(tmp_path):
    found = Reloading(tmp_path)
    yield found
    found.process.terminate()
    try:
        found.process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        found.process.kill()
        found.process.communicate()
        raise


def test_what_is_saved_is_served_though_a_stream_is_open_which_goes_on(reloading):
    assert reloading.ask() == "one"
    with socket.create_connection(reloading.address, timeout=10) as stream:
        stream.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        reloading.save("two")
        reloading.says("saved.py changed")
        reloading.answers("two")
        assert stream.recv(65_536)


def test_what_is_saved_twice_within_a_second_is_served_as_it_was_saved_last(reloading):
    file = reloading.folder / "saved.py"
    reloading.save("two")
    reloading.answers("two")
    before = file.stat()
    reloading.save("six")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # and it is as long as it was
    reloading.answers("six")


def test_program_that_is_broken_leaves_the_old_one_in_place_until_it_is_mended(reloading):
    reloading.save("two", more="\nthis is no Python\n")
    reloading.says("SyntaxError")
    assert reloading.ask() == "one"
    reloading.save("three")
    reloading.answers("three")
