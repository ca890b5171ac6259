"""Whatever an iterable yields arrives, in order and once; whatever stands in a cell is read back."""

import asyncio
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.response.formats import CsvLines, JsonItems, encode
from sanicish.response.iterables import Body, buffered
from sanicish.streams.flow import READY

items = st.lists(
    st.one_of(st.text(max_size=20), st.binary(max_size=20), st.integers(), st.just("x" * 40_000)), max_size=30
)
cells = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10)


class Written:
    """A response that keeps what it is given."""

    def __init__(self):
        self.pieces = []

    def write(self, data):
        self.pieces.append(encode(data))
        return READY


async def later(items, waits):
    for number, item in enumerate(items):
        if number in waits:
            await asyncio.sleep(0)
        yield item


def sources(items, waits):
    return [iter(items), list(items), later(items, waits), (item for item in items)]


@pytest.mark.slow
@given(items, st.sets(st.integers(0, 30)))
def test_every_item_is_written_by_itself(given_items, waits):
    async def run(source, inline):
        written = Written()
        await Body(source, inline=inline)(written)
        return written.pieces

    for source in sources(given_items, waits):
        for inline in (False, True):
            if not inline or isinstance(source, list):
                assert asyncio.run(run(source, inline)) == [encode(item) for item in given_items]


@pytest.mark.slow
@given(items, st.sets(st.integers(0, 30)), st.binary(max_size=3), st.binary(max_size=3))
def test_joined_items_are_the_same_bytes_in_fewer_writes(given_items, waits, first, last):
    async def run(source):
        written = Written()
        await Body(source, joined=True, first=first, last=last)(written)
        return written.pieces

    for source in sources(given_items, waits):
        pieces = asyncio.run(run(source))
        assert b"".join(pieces) == first + b"".join(map(encode, given_items)) + last
        assert len(pieces) <= len(given_items) + 1 and all(pieces)


@given(st.lists(st.text(max_size=5), max_size=30), st.integers(1, 7))
def test_buffered_items_are_the_same_text_in_groups(texts, size):
    groups = list(buffered(texts, size))
    assert "".join(groups) == "".join(texts)
    full = [text for text in texts if text]
    assert len(groups) == -(-len(full) // size)


@given(st.lists(st.lists(cells, min_size=1, max_size=4), max_size=5), st.sampled_from(",;\t|"))
def test_csv_is_read_back(rows, delimiter):
    lines = CsvLines(delimiter)
    text = b"".join(map(lines, rows)).decode()
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) == rows


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.lists(json_values, max_size=6))
def test_json_array_is_read_back(values):
    members = JsonItems()
    assert json.loads(b"[" + b"".join(map(members, values)) + b"]") == values
