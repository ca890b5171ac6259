"""The end mark of COPY is found wherever an upload is split, and nowhere else."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from sanicish.exceptions import BadRequest
from sanicish.postgres.end_marks import CsvEndMarks, TextEndMarks

bodies = st.text(alphabet='\\.\n\r",a', max_size=30).map(str.encode)
splits = st.lists(st.integers(0, 30), max_size=5)


def pieces(body, places):
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


def passed(marks, parts):
    return b"".join([*(marks.feed(part) for part in parts), marks.end()])


def quoted(body):
    """What the CSV reader of PostgreSQL would have to be given, one character at a time."""
    out, at, in_quotes, line_start = [], 0, False, True
    while at < len(body):
        if (
            not in_quotes
            and line_start
            and body[at : at + 2] == b"\\."
            and body[at + 2 : at + 3] in (b"", b"\n", b"\r")
        ):
            out.append(b'"\\."')
            at += 2
            line_start = False
            continue
        byte = body[at : at + 1]
        in_quotes ^= byte == b'"'
        line_start = byte in (b"\n", b"\r")
        out.append(byte)
        at += 1
    return b"".join(out)


@given(bodies, splits)
def test_csv_end_marks_are_quoted_outside_of_quotes_only(body, places):
    assert passed(CsvEndMarks(), pieces(body, places)) == quoted(body)


@given(bodies)
def test_nothing_is_left_to_quote_in_what_was_quoted(body):
    once = passed(CsvEndMarks(), [body])
    assert passed(CsvEndMarks(), [once]) == once


def refused(parts):
    try:
        return passed(TextEndMarks(), parts)
    except BadRequest as error:
        return str(error)


def expected(body):
    """Where a reader of text stops, one character at a time; ``None`` if that is the end."""
    at, line_start, line = 0, True, 1
    while at < len(body):
        if body[at : at + 2] == b"\\.":
            if not line_start:
                return f"the end mark \\. does not stand alone (line {line})"
            if body[at + 2 :] not in (b"", b"\n", b"\r", b"\r\n"):
                return f"there is data behind the end mark \\. (line {line})"
            return None
        step = body[at : at + 2] if body[at : at + 1] == b"\\" else body[at : at + 1]
        line_start = step in (b"\n", b"\r")
        line += step.count(b"\n")
        at += len(step)
    return None


@example(b"\\\r\\.", [])
@example(b"\\\n\\.\n", [1, 2])
@given(bodies, splits)
def test_text_is_refused_where_a_reader_would_stop_early(body, places):
    assert refused(pieces(body, places)) == (expected(body) or body)
