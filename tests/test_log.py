"""The loggers, and the lines of the access log: readable, and impossible to forge."""

import asyncio
import io
import json
import logging
from datetime import datetime
from uuid import UUID

import pytest

from sanicish import file_stream, log, stream, text
from sanicish.config import DEFAULTS
from sanicish.context import current_id
from sanicish.log import Access, JSONFormatter, TextFormatter, access_logger, error_logger, logger
from sanicish.log.queue import QUEUE_SIZE, QueuedStreamHandler, flush
from tests.doubles.wire import Wire

LOGGERS = (logger, error_logger, access_logger)


@pytest.fixture
def loggers():
    """Whatever a test sets up, the loggers are as before after it."""
    before = [(one.level, one.handlers[:], one.propagate) for one in LOGGERS]
    last_resort = logging.lastResort
    yield LOGGERS
    logging.lastResort = last_resort
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
    flush()
    out, err = capsys.readouterr()
    assert "started" in out and "asked" in out and "broken" not in out
    assert "broken" in err and "started" not in err


def test_a_configuration_of_ones_own_replaces_ours(loggers, capsys):
    log.configure({"version": 1, "disable_existing_loggers": False, "loggers": {"sanicish.root": {"level": "ERROR"}}})
    assert logger.level == logging.ERROR


def test_a_configuration_of_ones_own_keeps_its_handlers(loggers):
    handlers = {"plain": {"class": "logging.StreamHandler"}}
    log.configure({"version": 1, "handlers": handlers, "loggers": {"sanicish.root": {"handlers": ["plain"]}}})
    assert [type(one) for one in logger.handlers] == [logging.StreamHandler]
    assert not isinstance(logging.lastResort, QueuedStreamHandler)


def test_what_nobody_else_logs_is_queued_in_the_same_form(loggers, capsys):
    """Errors of asyncio, for example."""
    log.configure(form="json")
    logging.lastResort.handle(record("lost", level=logging.ERROR))
    flush()
    assert json.loads(capsys.readouterr().err)["message"] == "lost"
    assert logging.lastResort.level == logging.WARNING


def test_the_size_of_the_queue_is_a_setting(loggers):
    assert DEFAULTS["LOG_QUEUE_SIZE"] == QUEUE_SIZE
    log.configure(queue_size=10)
    assert {one.handlers[0]._limit for one in LOGGERS} == {logging.lastResort._limit} == {10}


def test_a_level_is_laid_over_whatever_is_configured(loggers):
    log.configure(level="error")
    assert [one.level for one in LOGGERS] == [logging.ERROR] * 3


def test_a_form_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="text or json, not 'xml'"):
        log.configure(form="xml")


def line(**changes):
    told = {
        "method": "GET",
        "target": "/x?y=1",
        "status": 200,
        "outcome": "completed",
        "peer": "1.2.3.4:5",
        "sent": 5,
        "seconds": 0.0012,
    }
    return str(Access(**(told | changes)))


def test_a_line_says_what_was_asked_how_it_ended_how_much_and_how_long():
    assert line() == "GET /x?y=1 200 · 5 B in 1.2 ms · 1.2.3.4:5"


def test_an_unusual_ending_is_named():
    assert line(outcome="client left") == "GET /x?y=1 200 · 5 B in 1.2 ms · client left · 1.2.3.4:5"


def test_an_upload_says_how_much_came_and_a_stream_when_it_began():
    assert line(received=2000, first_byte=0.3) == (
        "GET /x?y=1 200 · 5 B in 1.2 ms · 2.0 kB received · first byte after 300 ms · 1.2.3.4:5"
    )


def test_the_id_of_a_request_is_told_if_there_is_one():
    assert line(request_id="abc").endswith(" · 1.2.3.4:5 · id abc")


def test_an_exchange_that_was_not_answered_has_no_status():
    assert line(status=0).startswith("GET /x?y=1 - ·")


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


EVIL = ["\n", "\r", "\x00", "\x1b[31m", "\x7f", "\x85", "\x9b"]


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_a_client_sends_can_break_or_colour_a_line(evil):
    told = line(target=f"/{evil}x", peer=f"1{evil}", request_id=evil)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in told)
    assert f"\\x{ord(evil[0]):02x}" in told


# How records become lines


def record(message="hello", *args, level=logging.INFO, **extra):
    made = logging.LogRecord("sanicish.root", level, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


@pytest.fixture
def failed():
    """The record of a failure that says what a client sent."""
    try:
        raise ValueError("no\n12:00:00 INFO: forged")
    except ValueError as error:
        made = record("failed", level=logging.ERROR)
        made.exc_info = (type(error), error, error.__traceback__)
        return made


PLAIN = TextFormatter("%(levelname)s: %(message)s")


@pytest.mark.parametrize("evil", EVIL)
def test_no_message_can_forge_a_line(evil):
    told = PLAIN.format(record("asked for %s", f"/{evil}INFO: forged", request_id=f"a{evil}b"))
    assert not any(line.startswith("INFO: forged") for line in told.splitlines())
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in told.replace("\n    ", ""))


def test_no_exception_can_forge_a_line(failed):
    first, *others = PLAIN.format(failed).splitlines()
    assert first == "ERROR: failed"
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-1] == "    12:00:00 INFO: forged"
    assert all(line.startswith("    ") for line in others)


def test_a_message_of_several_lines_is_one_record():
    assert PLAIN.format(record("a\nb")) == "INFO: a\n    b"


def test_the_id_of_the_request_stands_behind_a_message():
    assert PLAIN.format(record(request_id="abc")) == "INFO: hello [abc]"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("level", "extra", "colour"),
    [
        (logging.ERROR, {}, "\x1b[31m"),
        (logging.WARNING, {}, "\x1b[33m"),
        (logging.DEBUG, {}, "\x1b[90m"),
        (logging.INFO, {}, ""),
        (logging.INFO, {"status": 200}, ""),
        (logging.INFO, {"status": 404}, "\x1b[33m"),
        (logging.INFO, {"status": 503}, "\x1b[31m"),
    ],
)
def test_a_terminal_shows_in_colour_what_is_not_as_it_should_be(monkeypatch, level, extra, colour):
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = TextFormatter("%(message)s", stream=Terminal()).format(record(level=level, **extra))
    assert told == (f"{colour}hello\x1b[0m" if colour else "hello")


def test_nothing_else_than_a_terminal_gets_colours():
    assert TextFormatter("%(message)s", stream=io.StringIO()).format(record(level=logging.ERROR)) == "hello"


def test_who_wants_no_colours_gets_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert TextFormatter("%(message)s", stream=Terminal()).format(record(level=logging.ERROR)) == "hello"


def test_json_is_one_object_a_line(failed):
    told = JSONFormatter().format(failed)
    assert "\n" not in told
    found = json.loads(told)
    assert datetime.fromisoformat(found["timestamp"]).utcoffset() is not None
    assert (found["level"], found["logger"], found["message"]) == ("ERROR", "sanicish.root", "failed")
    assert found["exception"].endswith("INFO: forged")


def test_json_has_what_was_given_as_extra():
    found = json.loads(JSONFormatter().format(record("hello %s", "you", user=3, when=datetime(2020, 1, 1))))
    assert (found["message"], found["user"], found["when"]) == ("hello you", 3, "2020-01-01 00:00:00")


def test_nan_in_what_was_given_as_extra_is_null():
    told = JSONFormatter().format(
        logging.makeLogRecord({"msg": "m", "ratio": float("nan"), "parts": [1, float("inf")]})
    )
    assert json.loads(told, parse_constant=pytest.fail) | {"ratio": None, "parts": [1, None]} == json.loads(told)


def test_our_loggers_speak_json_if_told_to(loggers, capsys):
    log.configure(form="json")
    logger.info("started")
    error_logger.error("broken")
    Access("GET", "/", 200, "completed", "1.2.3.4:5", sent=3).log()
    flush()
    out, err = capsys.readouterr()
    started, asked = (json.loads(one) for one in out.splitlines())
    assert started["message"] == "started" and json.loads(err)["message"] == "broken"
    assert asked["logger"] == "sanicish.access" and "message" not in asked


# Whole exchanges


@pytest.fixture
def told(caplog):
    """What the access log says, as fields."""
    caplog.set_level(logging.INFO, "sanicish.access")

    def found():
        return [record.msg for record in caplog.records if record.name == "sanicish.access"]

    return found


async def ask(app, *pieces):
    server = await app.create_server(port=0, access_log=True)
    try:
        async with Wire(server.sockets[0].getsockname()) as wire:
            for piece in pieces:
                wire.send(piece)
            return await wire.rest()
    finally:
        server.close()
        await server.wait_closed()


async def test_the_fields_of_an_access_line(app, told):
    @app.post("/up", stream=True)
    async def up(request):
        await request.stream.read_all()

        async def write(response):
            await response.write("abc")

        return stream(write)

    await ask(app, b"POST /up?a=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
    (line,) = told()
    peer, duration, first_byte = (line.pop(name) for name in ("host", "duration", "first_byte"))
    assert peer.startswith("127.0.0.1:") and 0 < first_byte <= duration < 5
    assert line == {
        "request": "POST /up?a=1",
        "method": "POST",
        "target": "/up?a=1",
        "status": 200,
        "byte": 3,
        "received": 5,
        "outcome": "completed",
        "request_id": None,
    }


GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


async def test_the_id_that_a_client_sends_is_told(app, told):
    app.get("/")(lambda request: text(""))
    await ask(app, GET + b"X-Request-ID: abc\r\n\r\n")
    assert told()[0]["request_id"] == "abc"


async def test_an_id_that_was_made_is_told_everywhere(app, loggers, capsys):
    made = []

    @app.get("/")
    async def fail(request):
        made.append(str(request.id))
        raise ZeroDivisionError

    log.configure(form="json", identify=current_id)
    await ask(app, GET + b"\r\n")
    out, err = capsys.readouterr()
    assert [json.loads(one)["request_id"] for one in (out, err)] == made * 2


@pytest.mark.parametrize("evil", [b"a\x85\x9b31m", b"\xe2\x80\xa8", b"a b", b"x" * 201, b""])
async def test_an_id_that_is_not_plain_is_not_taken(app, told, evil):
    app.get("/")(lambda request: text(str(request.id)))
    answer = await ask(app, GET + b"X-Request-ID: " + evil + b"\r\n\r\n")
    assert UUID(answer.partition(b"\r\n\r\n")[2].decode()) == UUID(told()[0]["request_id"])


async def test_a_file_that_its_client_does_not_take_is_not_told_as_sent(app, told, tmp_path):
    (tmp_path / "large").write_bytes(bytes(64 << 20))
    app.get("/")(lambda request: file_stream(tmp_path / "large"))
    ended = asyncio.Event()
    app.signal("http.stream.aborted")(lambda **said: ended.set())
    server = await app.create_server(port=0, access_log=True)
    try:
        async with Wire(server.sockets[0].getsockname()) as wire:
            wire.send(GET + b"\r\n")
            await wire.until(b"\r\n\r\n")
            wire.reset()
            async with asyncio.timeout(5):
                await ended.wait()
    finally:
        server.close()
        await server.wait_closed()
    (line,) = told()
    assert line["outcome"] == "client left" and line["byte"] < 60 << 20


async def test_the_client_that_a_trusted_proxy_names_is_told(app, told):
    app.config.PROXIES_COUNT = 1
    app.get("/")(lambda request: text(""))
    await ask(app, GET + b"X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n")
    assert told()[0]["host"] == "203.0.113.9"


async def test_nobody_else_is_believed(app, told):
    app.get("/")(lambda request: text(""))
    await ask(app, GET + b"X-Forwarded-For: 203.0.113.9\r\n\r\n")
    assert told()[0]["host"].startswith("127.0.0.1:")


# Ids in responses


async def test_an_answer_tells_no_id_unless_asked_to(app, told):
    app.get("/")(lambda request: text(""))
    assert b"X-Request-ID" not in await ask(app, GET + b"X-Request-ID: abc\r\n\r\n")


@pytest.mark.parametrize("path", ["/", "/stream", "/responds", "/none"])
async def test_every_answer_tells_the_id_if_asked_to(app, told, path):
    app.config.REQUEST_ID_IN_RESPONSE = True
    app.get("/")(lambda request: text(""))
    app.get("/stream")(lambda request: stream(lambda response: response.write("a")))

    @app.get("/responds")
    async def responds(request):
        await (await request.respond()).send("a", True)

    answer = await ask(app, GET.replace(b"/", path.encode(), 1) + b"X-Request-ID: abc\r\n\r\n")
    assert answer.count(b"X-Request-ID: abc\r\n") == 1


async def test_an_id_that_was_made_is_sent(app, told):
    app.config.REQUEST_ID_IN_RESPONSE = True
    app.config.REQUEST_ID_HEADER = "X-Trace"
    app.get("/")(lambda request: text(str(request.id)))
    answer = await ask(app, GET + b"\r\n")
    assert b"X-Trace: " + answer.partition(b"\r\n\r\n")[2] in answer
