"""What a case of the tables must come to on the wire."""

from tests.cases.splits import WAYS, split
from tests.doubles.answers import read_answers

FEW_BYTES = 1000  # more are not sent one by one here: the parser's own tests do


def of_sections(cases, *prefixes):
    """The cases of these sections."""
    return [case for case in cases if case.section.startswith(prefixes)]


def ways(raw):
    return [way for way in WAYS if way != "byte by byte" or len(raw) <= FEW_BYTES]


def expected(case):
    """What the echo says of a case: its status, and its words."""
    words = f"{case.method} {case.target.decode()} {case.body.decode('latin-1')}"
    if case.target == b"*":
        return 200, ""
    if case.target.startswith(b"//"):
        return 404, None  # a path, and no route has it
    return (200, words) if case.method in ("GET", "POST", "DELETE") else (405, None)


def check_accepted(echo, case):
    for way in ways(case.raw):
        replies = read_answers(echo.talk(*split(case.raw, way)), case.method, "GET")
        status, words = expected(case)
        assert replies[0].status == status, way
        assert replies[0].whole and (words is None or replies[0].body.decode() == words), way
        if way != WAYS[3]:
            assert len(replies) == 1, way
        elif case.keep_alive:
            assert [reply.body for reply in replies[1:]] == [b"GET /next "]
        else:
            assert len(replies) == 1 and replies[0].headers["connection"] == "close"


def check_rejected(echo, case):
    for way in ways(case.raw):
        (reply,) = read_answers(echo.talk(*split(case.raw, way)))
        assert reply.status == case.status, way
        assert reply.headers["connection"] == "close" and reply.whole, way
        if case.section != "9110 10.1.1":
            assert reply.body.strip(), "a sentence"
