"""Log lines are written by a thread: in order, without blocking anybody, and dropped when nobody reads them."""

import io
import logging
import os
import select
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress

import pytest

from sanicish.log import queue as log_queue
from sanicish.log.queue import QueuedStreamHandler, dropped_lines

LIMIT = 200_000  # more than a pipe holds


def log_to(stream, limit=LIMIT):
    """A logger that writes to a stream, and its handler."""
    logger = logging.Logger("queued")
    handler = QueuedStreamHandler(stream, limit)
    logger.addHandler(handler)
    return logger, handler


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self):
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def read_until(self, words, pause=0.0):
        found = b""
        while not found.endswith(words):
            assert select.select([self.reader], [], [], 10)[0], found[-200:]
            found += os.read(self.reader, 65_536)
            time.sleep(pause)
        return found.decode().splitlines()

    def close(self):
        os.close(self.reader)  # first, so that nothing waits for it
        with suppress(BrokenPipeError):
            self.stream.close()


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


def test_lines_are_written_in_order(pipe):
    logger, handler = log_to(pipe.stream)
    for number in range(1000):
        logger.warning("line %d", number)
    handler.flush()
    assert pipe.read_until(b"line 999\n") == [f"line {number}" for number in range(1000)]


def test_lines_of_several_threads_are_all_written(pipe):
    logger, _ = log_to(pipe.stream)
    threads = [
        threading.Thread(target=lambda name=name: [logger.warning("%s %d", name, n) for n in range(200)])
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.warning("end")
    lines = pipe.read_until(b"end\n")[:-1]
    for name in "abcd":
        assert [line for line in lines if line[0] == name] == [f"{name} {n}" for n in range(200)]


def test_nobody_waits_for_a_reader_that_stalls_and_what_is_too_much_is_dropped_and_told(pipe):
    logger, _ = log_to(pipe.stream)
    before = dropped_lines()
    for number in range(10_000):
        logger.warning("%099d", number)
    dropped = dropped_lines() - before
    written = 10_000 - dropped
    assert LIMIT / 100 <= written < (LIMIT + 200_000) / 100, "a pipe holds 64 KiB"
    lines = pipe.read_until(b"fast enough\n")
    assert lines[:-1] == [f"{number:099d}" for number in range(written)]
    assert lines[-1] == f"{dropped} log lines were dropped: the log could not be written fast enough"
    logger.warning("and on")
    assert pipe.read_until(b"\n") == ["and on"]
    assert dropped_lines() - before == dropped


def test_what_was_dropped_is_told_where_it_is_missing(pipe):
    logger, _ = log_to(pipe.stream)
    for number in range(10_000):
        logger.warning("%099d", number)
    first = pipe.read_until(b"\n")  # makes room, but not enough
    while len(first) < 2000:
        first += pipe.read_until(b"\n")
    logger.warning("after")
    lines = first + pipe.read_until(b"after\n")
    (told,) = [number for number, line in enumerate(lines) if "dropped" in line]
    assert lines[told + 1 :] == ["after"]
    assert lines[:told] == [f"{number:099d}" for number in range(told)]


def test_one_line_is_told_as_one(pipe):
    logger, _ = log_to(pipe.stream, limit=100_000)
    logger.warning("x" * 90_000)
    logger.warning("x" * 90_000)
    assert pipe.read_until(b"fast enough\n")[-1].startswith("1 log line was dropped: ")


def test_a_line_that_is_longer_than_the_limit_is_written_when_nothing_else_waits(pipe):
    logger, _ = log_to(pipe.stream, limit=10)
    logger.warning("x" * 1000)
    assert pipe.read_until(b"\n") == ["x" * 1000]


def test_without_a_limit_everything_waits(pipe):
    logger, _ = log_to(pipe.stream, limit=None)
    for number in range(5_000):
        logger.warning("%099d", number)
    assert pipe.read_until(b"4999\n") == [f"{number:099d}" for number in range(5_000)]


@pytest.mark.slow
def test_a_flush_waits_for_a_slow_reader_and_leaves_one_that_stalls(pipe, monkeypatch):
    monkeypatch.setattr(log_queue, "_PATIENCE", 0.3)
    logger, handler = log_to(pipe.stream)
    for number in range(2_000):
        logger.warning("%099d", number)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_until(b"1999\n", pause=0.05)))
    reader.start()
    handler.flush()
    reader.join()
    assert len(lines) == 2000
    for number in range(2_000):
        logger.warning("%099d", number)
    for _ in range(10):  # the first waits for a while, the others know
        handler.flush()
    pipe.read_until(b"1999\n")


def test_streams_to_the_same_file_share_their_order(pipe):
    with open(os.dup(pipe.stream.fileno()), "w") as other:
        (first, handler), (second, _) = log_to(pipe.stream), log_to(other)
        for number in range(500):
            (first if number % 3 else second).warning("%d", number)
        handler.flush()
        assert pipe.read_until(b"499\n") == [str(number) for number in range(500)]


def test_what_was_printed_before_a_line_stands_before_it(pipe):
    logger, _ = log_to(pipe.stream)
    print("printed", file=pipe.stream)
    logger.warning("logged")
    assert pipe.read_until(b"logged\n") == ["printed", "logged"]


@pytest.mark.slow
def test_lines_of_several_processes_on_one_pipe_are_never_torn(pipe):
    code = (
        "import sys; from tests.log.test_queue import log_to; logger, handler = log_to(sys.stdout, None);"
        "[logger.warning(sys.argv[1] * 333) for _ in range(3000)]; handler.flush()"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, letter], stdout=pipe.stream) for letter in "ab"]
    pipe.stream.close()
    with open(os.dup(pipe.reader)) as reader:
        lines = reader.read().splitlines()
    assert [other.wait(10) for other in others] == [0, 0]
    assert sorted(set(lines)) == ["a" * 333, "b" * 333] and len(lines) == 6000


def test_a_stream_that_is_no_file_is_written_to():
    stream = io.StringIO()
    logger, handler = log_to(stream)
    logger.warning("é")
    handler.flush()
    assert stream.getvalue() == "é\n"


def test_what_cannot_be_encoded_is_escaped(pipe):
    with open(os.dup(pipe.stream.fileno()), "w", encoding="ascii") as stream:
        logger, _ = log_to(stream)
        logger.warning("é")
        assert pipe.read_until(b"\n") == ["\\xe9"]


def test_a_reader_that_is_gone_is_told_once_and_its_lines_are_counted(pipe, caplog):
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.reader)
    logger, handler = log_to(pipe.stream)
    before = dropped_lines()
    for _ in range(3):
        logger.warning("x")
        handler.flush()
    assert [record.getMessage() for record in caplog.records] == ["the log cannot be written: Broken pipe"]
    assert dropped_lines() - before == 3


def test_a_nonblocking_stream_is_waited_for(pipe):
    os.set_blocking(pipe.stream.fileno(), False)
    logger, _ = log_to(pipe.stream)
    for number in range(1_500):
        logger.warning("%099d", number)
    assert len(pipe.read_until(b"1499\n")) == 1_500
    os.set_blocking(pipe.stream.fileno(), True)


def test_without_a_stream_nothing_is_written(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    logger, handler = log_to(None)
    logger.warning("x")
    handler.flush()


def test_a_child_process_writes_its_own_lines_and_none_of_its_parent(pipe):
    logger, _ = log_to(pipe.stream)
    for _ in range(2_000):  # more than the pipe takes
        logger.warning("%099d", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of a process that has threads
        child = os.fork()
    if not child:
        logger.warning("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    logger.warning("end")
    lines = pipe.read_until(b"end\n")
    assert len([line for line in lines if line == f"{0:099d}"]) == 2_000


def test_the_thread_ends_when_there_is_nothing_to_write(pipe, monkeypatch):
    monkeypatch.setattr(log_queue, "_IDLE", 0.01)
    logger, handler = log_to(pipe.stream)
    for words in ("one", "two"):
        logger.warning(words)
        thread = handler._queue._thread
        assert pipe.read_until(b"\n") == [words]
        thread.join(5)
        assert not thread.is_alive()


def test_the_last_lines_of_a_process_are_written():
    code = (
        "import atexit, logging, sys; from sanicish import log;"
        "log.configure();"
        "atexit.register(lambda: log.logger.info('last'));"
        "[log.logger.info('%d', number) for number in range(1000)]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert [line.split(" ")[-1] for line in done.stdout.splitlines()] == [*map(str, range(1000)), "last"]
    assert done.stderr == ""
