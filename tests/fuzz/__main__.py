"""Mutates what reached new lines of the wire, and checks that any bytes end in responses or a close.

Inputs are a few bytes that choose how the connection is cut up, how its handlers behave and how its client ends, and
then what the client sends. One that breaks the invariant is written to ``tests/fuzz/found``, where a test runs it for ever.
"""

import argparse
import logging
import sys
import time
from hashlib import sha256
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import sanicish.http1
import sanicish.server
from tests.fuzz.connection import check
from tests.properties.test_connection import CASES, PIPELINE

FOUND = Path(__file__).parent / "found"
WATCHED = tuple(str(Path(package.__file__ or "").parent) for package in (sanicish.http1, sanicish.server))
TOKENS = [
    b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"0", b"5", b"ffffffffffffffff", b"-1", b";", b",", b"\0", b"\xff", b"HTTP/1.1", b"HTTP/1.0",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Host: a\r\n",
    b"Upgrade: h2c\r\n", b"0\r\n\r\n", b"GET / ", b"POST / ", b"HEAD / ",
]  # fmt: skip


class Coverage:
    """The pairs of lines of the wire that ran one after the other."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()
        self._new = False
        self._last = 0

    def run(self, data: bytes) -> bool:
        """Check an input; whether it went where none went before."""
        self._new = False
        sys.settrace(self._call)
        try:
            check(data)
        finally:
            sys.settrace(None)
        return self._new

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(WATCHED) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        step = (frame.f_code.co_filename, self._last, frame.f_lineno)
        self._last = frame.f_lineno
        if step not in self.seen:
            self.seen.add(step)
            self._new = True
        return self._line


def mutate(random: Random, corpus: list[bytes]) -> bytes:
    """One of the corpus, changed here and there, or joined with another."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(data) + 1)
        what = random.randrange(6)
        if what == 0:
            data[at:at] = random.choice(TOKENS)
        elif what == 1:
            del data[at : at + random.choice((1, 1, 2, 8, 40))]
        elif what == 2 and at < len(data):
            data[at] = random.randrange(256)
        elif what == 3:
            data[at:at] = data[random.randrange(len(data) + 1) :][:100]
        elif what == 4:
            data[at:] = random.choice(corpus)[4:]
        else:
            data[at : at + 1] = bytes([random.randrange(32, 127)])
    return bytes(data[:4_000])


def main() -> int:
    """Fuzz for a while; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # what clients get told is no news here
    random, coverage = Random(options.seed), Coverage()
    corpus: list[bytes] = []
    for number, raw in enumerate((*CASES, *PIPELINE, PIPELINE[0] + PIPELINE[2] + PIPELINE[1])):
        data = bytes((number % 256, number % 7, number % 9, number % 4)) + raw
        if coverage.run(data) or not corpus:
            corpus.append(data)
    print(f"seed {options.seed}: {len(corpus)} inputs to begin with, {len(coverage.seen)} steps", flush=True)
    count, end = 0, time.monotonic() + options.seconds
    while time.monotonic() < end:
        data = mutate(random, corpus)
        count += 1
        try:
            if coverage.run(data):
                corpus.append(data)
        except Exception as error:
            path = FOUND / sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            print(f"found {path.name}: {type(error).__name__}: {error}", flush=True)
            return 1
    print(f"{count} inputs, {len(corpus)} kept, {len(coverage.seen)} steps: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
