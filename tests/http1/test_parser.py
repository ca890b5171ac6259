"""The parser, told bytes and nothing else: no loop, no socket."""

import gc
import weakref

import pytest

from sanicish.config import Config
from sanicish.exceptions import BadRequest, SanicException
from sanicish.http1.parser import RequestParser
from tests.cases.requests import ACCEPTED, REJECTED, Accepted, Rejected, chunked, head, sized
from tests.cases.splits import NEXT, WAYS, split
from tests.doubles.sink import RecordingSink, tell

LIMITS = Config(load_env=False).limits()
GET = b"GET / HTTP/1.1"


def parser(**limits):
    sink = RecordingSink()
    return RequestParser(sink, LIMITS._replace(**limits)), sink


def story(*pieces, **limits):
    return tell(*parser(**limits), list(pieces))


def feed_all(feeder, raw):
    pos = 0
    while pos < len(raw):
        pos = feeder.feed(raw, pos)


def name(case):
    return case.name if isinstance(case, Accepted | Rejected) else case


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ACCEPTED, ids=name)
def test_a_request_means_the_same_however_it_arrives(case, way):
    told = story(*split(case.raw, way))
    if way == WAYS[3]:
        *told, next_head, next_end = told
        assert next_head[:4] == ("head", "GET", b"/next", "1.1") and next_end == ("end", ())
    (_, method, target, version, fields, keep_alive, _), *body, end = told
    assert (method, target, version) == (case.method, case.target, case.version)
    assert keep_alive == case.keep_alive
    assert set(case.fields) <= set(fields)
    assert body == ([("data", case.body)] if case.body else [])
    assert end == ("end", case.trailers)


@pytest.mark.parametrize("case", [*ACCEPTED, *REJECTED], ids=name)
def test_what_came_before_makes_no_difference(case):
    told = story(case.raw)
    if isinstance(case, Accepted):
        assert story(case.raw, case.raw) == told * 2
    before = story(NEXT)
    assert story(NEXT, case.raw) == before + told
    assert story(NEXT, NEXT + NEXT, case.raw) == before * 3 + told
    with_body = sized(b"5", b"hello")
    assert story(with_body, case.raw) == story(with_body) + told


def test_a_head_that_comes_again_is_read_once():
    feeder, sink = parser()
    feed_all(feeder, NEXT)
    feed_all(feeder, NEXT)
    assert sink.heads[0] is sink.heads[1]
    feed_all(feeder, NEXT * 4)
    assert sink.heads[0] is sink.heads[3] is sink.heads[4] is sink.heads[5]


def test_one_head_is_remembered_and_it_is_small():
    feeder, sink = parser()
    large = b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 2_048)
    for raw in (NEXT, head(GET), NEXT, large, large):
        feed_all(feeder, raw)
    one, two, three, four, five = sink.heads
    assert one is not two and one is not three and four is not five


@pytest.mark.parametrize("name", [b"Cookie", b"AUTHORIZATION", b"proxy-authorization"])
def test_no_head_with_credentials_is_remembered(name):
    feeder, sink = parser()
    for field in (name, name, b"X-" + name, b"X-" + name):
        feed_all(feeder, b"GET / HTTP/1.1\r\nHost: a\r\n%b: secret\r\n\r\n" % field)
    first, again, other, other_again = sink.heads
    assert first is not again and other is other_again


def test_a_head_cannot_be_changed():
    feeder, sink = parser()
    feed_all(feeder, head(GET, b"X: y"))
    feed_all(feeder, b"G")
    feed_all(feeder, head(GET, b"X: y")[1:])
    for one in sink.heads:
        assert isinstance(one.fields, tuple) and one.fields == ((b"host", b"a"), (b"x", b"y"))
        for attribute in ("method", "target", "fields", "path", "keep_alive"):
            with pytest.raises(AttributeError):
                setattr(one, attribute, None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REJECTED, ids=name)
def test_a_bad_request_is_refused_the_same_however_it_arrives(case, way):
    told = story(*split(case.raw, way))
    assert told[-1] == ("error", case.status)
    assert "end" not in [event[0] for event in told], "a refused message has no end"
    assert [event[0] for event in told].count("head") <= 1, "and nothing behind it is looked at"


@pytest.mark.parametrize("case", REJECTED, ids=name)
def test_a_refusal_is_one_printable_sentence(case):
    feeder, _ = parser()
    with pytest.raises(SanicException) as refusal:
        feed_all(feeder, case.raw)
    assert refusal.value.message.isprintable() and refusal.value.message.isascii()


# One message end per feed


def test_a_feed_ends_where_the_message_ends():
    feeder, sink = parser()
    raw = head(GET) + NEXT
    assert feeder.feed(raw) == len(head(GET))
    assert [head.target for head in sink.heads] == [b"/"]


def test_a_fault_in_the_next_request_is_not_seen_before_its_turn():
    feeder, sink = parser()
    raw = head(GET) + b"\x00\x00\r\n\r\n"
    pos = feeder.feed(raw)
    assert sink.ends == 1
    with pytest.raises(BadRequest):
        feeder.feed(raw, pos)


def test_a_chunked_body_ends_before_the_next_request():
    feeder, sink = parser()
    raw = chunked(b"5\r\nhello\r\n0\r\n\r\n") + NEXT
    pos = 0
    while not sink.ends:
        pos = feeder.feed(raw, pos)
    assert raw[pos:] == NEXT


def test_a_body_of_known_length_ends_before_the_next_request():
    feeder, sink = parser()
    raw = sized(b"5", b"hello") + NEXT
    pos = feeder.feed(raw)
    assert raw[feeder.feed(raw, pos) :] == NEXT and sink.ends == 1


def test_a_piece_of_a_body_of_known_length_is_passed_on_uncopied():
    class Keeper(RecordingSink):
        def on_data(self, data):
            self.piece = data

    sink = Keeper()
    feeder = RequestParser(sink, LIMITS)
    feeder.feed(sized(b"10"))
    piece = b"0123456789"
    feeder.feed(piece)
    assert sink.piece is piece


def test_requests_go_on_after_a_trailer_that_says_close():
    """What llhttp makes of such a trailer must not turn the next request into a 400."""
    told = story(chunked(b"0\r\nConnection: close\r\n\r\n") + NEXT + NEXT)
    assert [event[0] for event in told] == ["head", "end"] * 3


def test_requests_go_on_after_a_request_that_said_close():
    """Whether a connection goes on is not the parser's to decide."""
    told = story(head(GET, b"Connection: close") + NEXT)
    assert [event[0] for event in told] == ["head", "end"] * 2


def test_requests_go_on_after_an_upgrade_that_was_not_taken():
    upgrade = head(b"POST / HTTP/1.1", b"Connection: upgrade", b"Upgrade: x", b"Content-Length: 40")
    told = story(upgrade + NEXT + b"!" * (40 - len(NEXT)) + NEXT)
    assert [event[0] for event in told] == ["head", "data", "end", "head", "end"]


# Limits


def test_a_head_may_have_as_many_bytes_as_its_limit():
    raw = head(GET)
    assert story(raw, head=len(raw))[-1] == ("end", ())


def test_a_head_of_one_byte_more_is_refused():
    raw = head(GET)
    assert story(raw, head=len(raw) - 1) == [("error", 431)]


def test_blank_lines_before_a_head_count_as_head():
    raw = b"\r\n\r\n" + head(GET)
    assert story(raw, head=len(raw) - 1) == [("error", 431)]


def test_a_target_may_have_as_many_bytes_as_its_limit():
    assert story(head(b"GET /abc HTTP/1.1"), target=4)[-1] == ("end", ())


def test_a_target_of_one_byte_more_is_refused():
    assert story(head(b"GET /abcd HTTP/1.1"), target=4) == [("error", 414)]


def test_a_head_may_have_as_many_fields_as_its_limit():
    assert story(head(GET, b"X: y"), fields=2)[-1] == ("end", ())


def test_a_head_of_one_field_more_is_refused():
    assert story(head(GET, b"X: y", b"X: y"), fields=2) == [("error", 431)]


def test_each_head_has_a_limit_of_its_own():
    raw = head(GET)
    assert story(raw * 5, head=len(raw))[-1] == ("end", ())


def test_one_byte_chunks_are_no_reason_to_refuse():
    body = b"1\r\na\r\n" * 50_000
    assert story(chunked(body, b"0\r\n\r\n"))[-2:] == [("data", b"a" * 50_000), ("end", ())]


def test_an_extension_in_every_chunk_is_a_reason_to_refuse():
    body = (b"1;" + b"x" * 100 + b"\r\na\r\n") * 1000
    assert story(chunked(body, b"0\r\n\r\n"))[-1] == ("error", 400)


def test_a_large_body_buys_no_large_trailer():
    body = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    assert story(chunked(body * 8, b"0\r\nX: ", b"y" * 200_000))[-1] == ("error", 400)


def test_trailers_beyond_the_limit_of_fields_are_dropped():
    end = story(chunked(b"0\r\n", *[b"X: y\r\n"] * 5, b"\r\n"), fields=3)[-1]
    assert end == ("end", ((b"x", b"y"),) * 3)


def test_trailers_do_not_stay_for_the_next_request():
    raw = chunked(b"0\r\nX: y\r\n\r\n") + chunked(b"0\r\n\r\n")
    assert story(raw)[-1] == ("end", ())


# What else it tells


def test_nothing_and_blank_lines_are_no_message():
    feeder, _ = parser()
    assert not feeder.in_message
    feeder.feed(b"\r\n\r\n")
    assert not feeder.in_message


def test_a_head_that_has_begun_is_a_message():
    feeder, _ = parser()
    feeder.feed(b"G")
    assert feeder.in_message


@pytest.mark.parametrize("raw", [sized(b"5", b"hell"), chunked(b"5\r\nhello\r\n0\r\n\r")])
def test_a_body_that_has_not_ended_is_a_message(raw):
    feeder, _ = parser()
    feed_all(feeder, raw)
    assert feeder.in_message


@pytest.mark.parametrize("raw", [head(GET), sized(b"1", b"a"), chunked(b"0\r\n\r\n")])
def test_a_message_that_has_ended_is_none(raw):
    feeder, _ = parser()
    feed_all(feeder, raw)
    assert not feeder.in_message


def test_it_knows_how_much_of_a_body_is_missing():
    feeder, _ = parser()
    raw = sized(b"5", b"he")
    feeder.feed(raw, feeder.feed(raw))
    assert feeder.left == 3


def test_an_announced_body_is_known_before_it_comes():
    assert story(sized(b"9223372036854775807"))[0][-1] == 2**63 - 1


def test_an_expectation_is_known_in_any_case_of_letters():
    feeder, sink = parser()
    feeder.feed(head(b"POST / HTTP/1.1", b"Expect: 100-CONTINUE", b"Content-Length: 1"))
    assert sink.heads[0].expect_continue


@pytest.mark.parametrize(
    "raw",
    [head(GET, b"Expect: 100-continue"), head(b"POST / HTTP/1.0", b"Expect: 100-continue", b"Content-Length: 1")],
    ids=["no body", "HTTP/1.0"],
)
def test_nobody_waits_for_a_continue_without_need(raw):
    feeder, sink = parser()
    feeder.feed(raw)
    assert not sink.heads[0].expect_continue


def test_a_hint_for_those_who_speak_tls():
    feeder, _ = parser()
    with pytest.raises(BadRequest, match="TLS"):
        feeder.feed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


def test_a_fault_of_the_sink_is_not_taken_for_a_fault_of_the_client():
    class Broken(RecordingSink):
        def on_data(self, data):
            raise ZeroDivisionError

    feeder = RequestParser(Broken(), LIMITS)
    raw = chunked(b"1\r\na\r\n0\r\n\r\n")
    pos = feeder.feed(raw)
    with pytest.raises(ZeroDivisionError):
        feeder.feed(raw, pos)


@pytest.mark.parametrize("raw", [head(GET), chunked(b"1\r\n"), sized(b"3", b"a")])
def test_a_closed_parser_leaves_no_cycle(raw):
    class Known(RequestParser):
        __slots__ = ("__weakref__",)

    feeder = Known(RecordingSink(), LIMITS)
    feed_all(feeder, raw)
    gone = weakref.ref(feeder)
    gc.collect()
    gc.disable()
    try:
        feeder.close()
        del feeder
        assert gone() is None
    finally:
        gc.enable()
