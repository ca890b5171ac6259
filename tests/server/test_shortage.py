"""What the log says when the process is out of file descriptors."""

import errno
import os

import pytest

from sanicish.server.shortage import Shortage


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_it_is_said_once_a_minute_while_it_lasts(clock, caplog):
    shortage = Shortage(clock)
    for _ in range(180):
        shortage.report(OSError(errno.EMFILE, "Too many open files"), 57)
        clock.now += 1
    assert len(caplog.records) == 3
    assert "too many open files, with 57 connections open" in caplog.text and "MAX_CONNECTIONS" in caplog.text


def test_nothing_is_said_as_long_as_there_are_descriptors(clock, caplog):
    shortage = Shortage(clock)
    for _ in range(10):
        shortage.look(1)
        clock.now += 1
    assert not caplog.records


def test_a_look_finds_that_none_is_left(clock, caplog, monkeypatch):
    def fail(path, flags):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    Shortage(clock).look(3)
    assert "with 3 connections open" in caplog.text
