"""Options of hosting on the command line."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.doubles.program import Program
from tests.doubles.wire import Wire

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "target", "end"),
    [
        ([], b"/stream?60", "it was cancelled"),
        (["--shield"], b"/stream?0.2", "it went on"),
        ([], b"/work?0.2", "it went on"),
        (["--no-shield"], b"/work?60", "it was cancelled"),
    ],
)
async def test_an_option_says_whether_a_client_that_leaves_cancels(options, target, end):
    command = [sys.executable, "-m", "sanicish", "tests.hosted.leaving_app:app", "-p", 0, *options]
    program = Program(*command, cwd=ROOT).serving()
    try:
        host, port = program.url.removeprefix("http://").split(":")
        async with Wire((host, int(port))) as wire:
            wire.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            await asyncio.to_thread(program.read_until, "it has begun")
            wire.reset()
        assert (await asyncio.to_thread(program.read_until, "it ")).strip() == end
    finally:
        program.process.terminate()
        program.end()
    assert not any("Traceback" in line for line in program.lines)
