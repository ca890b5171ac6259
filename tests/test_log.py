"""The loggers, and the lines of the access log: readable, and impossible to forge."""

import logging

import pytest

from sanicish import log
from sanicish.log import access_line, access_logger, error_logger, logger

LOGGERS = (logger, error_logger, access_logger)


@pytest.fixture
def loggers():
    """Whatever a test sets up, the loggers are as before after it."""
    before = [(one.level, one.handlers[:], one.propagate) for one in LOGGERS]
    yield LOGGERS
    for one, (level, handlers, propagate) in zip(LOGGERS, before, strict=True):
        one.setLevel(level)
        one.handlers[:] = handlers
        one.propagate = propagate


def test_the_loggers_have_the_names_people_configure():
    assert [one.name for one in LOGGERS] == ["sanicish.root", "sanicish.error", "sanicish.access"]


def test_access_goes_to_stdout_and_errors_to_stderr(loggers, capsys):
    log.configure()
    logger.info("started")
    access_logger.info("asked")
    error_logger.error("broken")
    out, err = capsys.readouterr()
    assert "started" in out and "asked" in out and "broken" not in out
    assert "broken" in err and "started" not in err


def test_a_configuration_of_ones_own_replaces_ours(loggers, capsys):
    log.configure({"version": 1, "disable_existing_loggers": False, "loggers": {"sanicish.root": {"level": "ERROR"}}})
    assert logger.level == logging.ERROR


def line(**changes):
    told = {
        "method": "GET",
        "target": "/x?y=1",
        "status": 200,
        "sent": 5,
        "seconds": 0.0012,
        "ending": None,
        "client": "1.2.3.4",
    }
    return access_line(**(told | changes))


def test_a_line_says_what_was_asked_how_it_ended_how_much_and_how_long():
    assert line() == "GET /x?y=1 200 · 5 B in 1.2 ms · 1.2.3.4"


def test_an_unusual_ending_is_named():
    assert line(ending="client left") == "GET /x?y=1 200 · 5 B in 1.2 ms · client left · 1.2.3.4"


def test_an_exchange_that_was_not_answered_has_no_status():
    assert line(status=0).startswith("GET /x?y=1 - ·")


def test_a_unix_socket_has_no_address():
    assert line(client="").endswith("· unix")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (100_000, "100 kB"),
        (123_456, "123 kB"),
        (999_999, "1.0 MB"),
        (1_500_000, "1.5 MB"),
        (1_073_741_824, "1.1 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_are_told_as_people_read_them(sent, told):
    assert f"· {told} in" in line(sent=sent)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0.0 ms"),
        (0.0099, "9.9 ms"),
        (0.01, "10 ms"),
        (0.25, "250 ms"),
        (1, "1.00 s"),
        (60, "1.0 min"),
        (1.5, "1.50 s"),
        (59.9, "59.90 s"),
        (90, "1.5 min"),
    ],
)
def test_spans_are_told_as_people_read_them(seconds, told):
    assert f"in {told} ·" in line(seconds=seconds)


@pytest.mark.parametrize("evil", ["\n", "\r", "\x00", "\x1b[31m", "\x7f", "\x85", "\x9b"])
def test_nothing_a_client_sends_can_break_or_colour_a_line(evil):
    told = line(target=f"/{evil}x", client=f"1{evil}")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in told)
    assert f"\\x{ord(evil[0]):02x}" in told
