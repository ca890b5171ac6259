"""Sentry's wrapper as the application on the command line: it is served, and reports each failure once."""

import asyncio
import sys
from pathlib import Path

import pytest

pytest.importorskip("sentry_sdk")

from tests.doubles.program import Program
from tests.doubles.wire import Wire, talk

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
async def test_an_application_in_its_wrapper_is_served_and_its_failures_are_reported_once():
    program = Program(sys.executable, "-m", "sanicish", "tests.hosted.sentry_app:app", "-p", 0, cwd=ROOT).serving()
    try:
        host, port = program.url.removeprefix("http://").split(":")
        address = host, int(port)
        assert (await talk(address, b"GET /hello HTTP/1.1\r\n" + CLOSE)).endswith(b"\r\n\r\nhello")
        async with Wire(address) as wire:
            wire.send(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.until(b"begun\r\n")
        await asyncio.to_thread(program.read_until, "ended")
        assert (await talk(address, b"GET /failing HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"\r\nbegun\r\n")
        assert (await talk(address, b"GET /broken HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 500 ")
        assert (await talk(address, b"GET /later HTTP/1.1\r\n" + CLOSE)).endswith(b"now")
        await asyncio.to_thread(program.read_until, "reported: after the response")
    finally:
        program.process.terminate()
        program.end()
    reports = [line.strip() for line in program.lines if line.startswith("reported: ")]
    assert reports == [f"reported: {when}" for when in ("in the stream", "before the response", "after the response")]
