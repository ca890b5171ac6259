"""The load client of the benchmarks: what it must never take for a right answer; and the table of scenarios."""

import pytest

from benchmarks.client import Answer, Asker, Body, NotOffered, Staller, Transfer, Wrong, request
from benchmarks.levels import LEVELS, MIB, growing
from benchmarks.process import HERE
from benchmarks.scenarios import FULL, SCENARIOS, SMOKE, Scale
from benchmarks.servers import SERVERS
from tests.doubles.transport import MemoryTransport

BODY = b"abcdefghij" * 3
FIXED = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"a\r\nabcdefghij\r\na\r\nabcdefghij\r\n4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY


def body() -> Body:
    return Body(b"abcdefghij", 30)


def read(wire: bytes, step: int = 1 << 20) -> Answer:
    answer = Answer(body())
    for start in range(0, len(wire), step):
        piece = wire[start : start + step]
        assert answer.feed(piece, len(piece)) == len(piece)
    return answer


@pytest.mark.parametrize("step", [1, 2, 3, 7, 11, 64, 1000])
@pytest.mark.parametrize("wire", [FIXED, CHUNKED], ids=["fixed", "chunked"])
def test_a_right_answer_ends_however_it_is_split(wire, step):
    answer = read(wire, step)
    assert answer.ended
    assert answer.at == 30


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_body_until_the_close_ends_with_the_close(step):
    answer = read(UNTIL_CLOSE, step)
    assert not answer.ended
    answer.closed()
    assert answer.ended


WRONG = {
    "status": FIXED.replace(b"200 OK", b"500 Internal Server Error"),
    "version": FIXED.replace(b"1.1", b"1.0"),
    "byte": FIXED.replace(b"j", b"J"),
    "order": FIXED.replace(b"abc", b"bac"),
    "length": FIXED.replace(b"30", b"31"),
    "short length": FIXED.replace(b"30", b"29"),
    "chunked byte": CHUNKED.replace(b"efg", b"eFg"),
    "chunked early end": CHUNKED.replace(b"4\r\nabcd\r\n6\r\nefghij\r\n", b""),
    "chunk too many": CHUNKED.replace(b"4\r\nabcd\r\n", b"a\r\nabcdefghij\r\na\r\nabcdefghij\r\n"),
    "chunk longer than its size": CHUNKED.replace(b"4\r\nabcd", b"4\r\nabcde"),
    "chunk size": CHUNKED.replace(b"4\r\n", b"four\r\n"),
    "after the last chunk": CHUNKED.removesuffix(b"\r\n") + b"x\r\n",
    "not HTTP": b"no such thing\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("wire", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_found_however_it_is_split(wire, step):
    with pytest.raises(Wrong):
        read(wire, step)


@pytest.mark.parametrize("wire", [FIXED, CHUNKED, UNTIL_CLOSE], ids=["fixed", "chunked", "until close"])
def test_a_close_before_the_end_is_found_wherever_it_comes(wire):
    for end in range(len(wire)):
        answer = read(wire[:end])
        assert not answer.ended
        with pytest.raises(Wrong):
            answer.closed()


def test_bytes_after_the_body_until_the_close_are_found():
    with pytest.raises(Wrong):
        read(UNTIL_CLOSE + b"k\r\n")


def test_a_large_answer_is_compared_across_reads_of_any_size():
    pattern = bytes(range(251))
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + (pattern * 400)[:100_000]
    for step in (1_000, 65_536):
        answer = Answer(Body(pattern, 100_000))
        for start in range(0, len(wire), step):
            answer.feed(wire[start : start + step], len(wire[start : start + step]))
        assert answer.ended


def test_the_length_says_which_spelling_of_json_it_is():
    spaced = b'{"id": 1}'
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + spaced
    answer = Answer(Body(b'{"id":1}'), Body(spaced))
    answer.feed(wire, len(wire))
    assert answer.ended


def test_what_a_server_does_not_offer_is_told_apart_from_what_it_does_wrong():
    with pytest.raises(NotOffered):
        read(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")


def asker(depth: int = 1) -> tuple[Asker, MemoryTransport]:
    client, transport = Asker(request("GET", "/"), (body(),), depth), MemoryTransport()
    client.connection_made(transport)
    client.ask()
    return client, transport


async def test_each_right_answer_brings_the_next_request():
    client, transport = asker()
    for _ in range(3):
        client.data_received(FIXED)
    assert client.answers == 3
    assert transport.sent == request("GET", "/") * 4


async def test_a_pipeline_is_filled_again_when_all_its_answers_have_come():
    client, transport = asker(depth=2)
    client.data_received(FIXED + FIXED[:50])
    assert transport.sent == request("GET", "/") * 2
    client.data_received(FIXED[50:])
    assert client.answers == 2
    assert transport.sent == request("GET", "/") * 4


async def test_an_answer_that_differs_from_the_ones_before_is_checked_in_full():
    client, _ = asker()
    client.data_received(FIXED)
    client.data_received(CHUNKED)
    client.data_received(FIXED)
    assert client.answers == 3
    client.data_received(FIXED.replace(b"j", b"J"))
    with pytest.raises(Wrong):
        await client.over


@pytest.mark.parametrize("wire", [FIXED + FIXED, FIXED + b"x"], ids=["answer", "byte"])
async def test_what_comes_without_a_request_is_found(wire):
    client, _ = asker()
    client.data_received(FIXED)
    client.data_received(wire)
    if not client.over.done():
        client.connection_lost(None)
    with pytest.raises(Wrong):
        await client.over


async def test_a_connection_that_closes_before_the_answer_fails_the_run():
    client, _ = asker()
    client.data_received(FIXED[:-1])
    client.connection_lost(None)
    with pytest.raises(Wrong):
        await client.over


async def test_who_was_told_to_stop_still_reads_the_last_answer():
    client, transport = asker()
    client.stop()
    assert not client.over.done()
    client.data_received(FIXED)
    await client.over
    assert transport.sent == request("GET", "/")


def receive(client: Transfer, data: bytes) -> None:
    client.get_buffer(-1)[: len(data)] = data
    client.buffer_updated(len(data))


async def test_an_answer_before_the_end_of_the_upload_is_found():
    client, transport = Transfer(), MemoryTransport(room=0)
    transport.protocol = client
    client.connection_made(transport)
    exchange = client.exchange(request("POST", "/"), body(), upload=[b"x" * 100_000] * 2)
    exchange.send(None)
    receive(client, FIXED)
    with pytest.raises(Wrong, match="before the request"):
        exchange.send(None)


async def test_an_upload_waits_while_the_server_takes_nothing():
    client, transport = Transfer(), MemoryTransport(room=0)
    transport.protocol = client
    client.connection_made(transport)
    exchange = client.exchange(b"", body(), upload=[b"x" * 100_000] * 3)
    exchange.send(None)
    assert transport.get_write_buffer_size() == 100_000
    transport.take()
    assert len(transport.sent) == 300_000
    receive(client, FIXED)
    with pytest.raises(StopIteration):
        exchange.send(None)


async def test_a_stalled_reader_reads_the_beginning_and_nothing_more():
    client, transport = Staller(request("GET", "/")), MemoryTransport()
    client.connection_made(transport)
    client.data_received(CHUNKED)
    assert client.begun
    assert transport.reading_paused


def test_every_scenario_of_the_suite_is_in_the_table():
    assert [scenario.name for scenario in SCENARIOS] == [
        "plain",
        "pipelined",
        "json",
        "post",
        "writes",
        "first-byte",
        "greedy",
        "stream-1",
        "stream-4",
        "upload-1",
        "upload-4",
        "chunked-1",
        "chunked-4",
        "echo",
        "file-small",
        "file-1",
        "file-4",
        "rows",
        "rows-batch",
        "rows-copy",
        "generator",
        "fan-out",
        "readers-50",
        "readers-1000",
        "uploaders-50",
        "uploaders-1000",
        "idle",
        "rest",
        "import",
        "start",
    ]


def test_every_server_has_its_application():
    assert {path.parent.name for path in (HERE / "servers").glob("*/app.py")} == {one.folder for one in SERVERS}


def test_a_smoke_test_is_smaller_in_everything():
    for name in Scale.__dataclass_fields__:
        if name != "most_memory":
            assert getattr(SMOKE, name) * 2 <= getattr(FULL, name)


# Levels of a server that is soaked


def looks(**levels):
    """What was seen of a server at rest, and of one thing under load that is not to be looked at."""
    rest = [
        {"rest": True, "memory": 50 * MIB, **dict.fromkeys(LEVELS, 3)}
        | {name: seen[at] for name, seen in levels.items()}
        for at in range(len(next(iter(levels.values()))))
    ]
    return [*rest, {"rest": False, "memory": 1e12, **dict.fromkeys(LEVELS, 1e6)}]


@pytest.mark.parametrize("name", LEVELS)
def test_what_is_more_at_rest_than_at_the_beginning_grows(name):
    assert growing(looks(**{name: [7, 8, 8, 7, 8, 8]})) == []
    assert growing(looks(**{name: [7, 8, 8, 9, 8, 8]})) == [f"{name}: 9 at rest, 8 at the beginning"]


def test_memory_may_grow_at_first_and_vary():
    flat = [m * MIB for m in (30, 80, 90, 91, 94, 90, 93, 91, 92)]
    assert growing(looks(memory=flat)) == []
    rising = [m * MIB for m in (30, 80, 82, 84, 86, 88, 90, 92, 94, 96, 98, 100)]
    (found,) = growing(looks(memory=rising))
    assert found.startswith("memory: ")
