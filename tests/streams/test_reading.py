"""Text, lines, values and files out of a body that is still coming."""

import asyncio
import hashlib
import json
import os
import re
import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish import stream, text
from sanicish.exceptions import BadRequest, PayloadTooLarge, RequestAborted, StreamError
from sanicish.streams.incoming import RequestStream
from sanicish.streams.multipart import read_parts
from tests.doubles.wire import Wire, talk


def body(*pieces, error=None, content_type=None):
    """A body that has come in these pieces."""
    found = RequestStream(high=1 << 30)
    if content_type:
        found.fields = [(b"content-type", content_type)]
    for piece in pieces:
        found.feed(piece)
    if error is None:
        found.feed_eof()
    else:
        found.fail(error)
    return found


KIND = b"multipart/form-data; boundary=b"


def part(name, data, *fields):
    head = [b'Content-Disposition: form-data; name="%b"' % name, *fields]
    return b"--b\r\n" + b"\r\n".join(head) + b"\r\n\r\n" + data + b"\r\n"


FORM = (
    part(b"title", b"gr\xc3\xbcn")
    + part(b'file"; filename="a.txt', b"one\ntwo\n" * 10, b"Content-Type: text/plain")
    + b"--b--\r\n"
)


def split(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


async def collect(source):
    return [item async for item in source]


# Text


@given(st.text(), st.lists(st.integers(0, 1000), max_size=10))
def test_characters_that_came_in_two_pieces_are_whole(words, cuts):
    pieces = split(words.encode(), cuts)
    assert "".join(asyncio.run(collect(body(*pieces).text()))) == words


async def test_text_comes_as_it_comes():
    found = RequestStream()
    found.feed("gr\u00fc".encode()[:-1])
    pieces = found.text()
    assert await anext(pieces) == "gr"
    found.feed("\u00fc".encode()[1:])
    assert await anext(pieces) == "\u00fc"


@pytest.mark.parametrize("raw", [b"\xff", b"abc\xc3"])
async def test_what_is_no_text_is_a_bad_request(raw):
    with pytest.raises(BadRequest, match="utf-8"):
        await collect(body(raw).text())


async def test_text_of_a_cut_body_raises_after_what_came():
    pieces = body(b"half", error=RequestAborted("cut")).text()
    assert await anext(pieces) == "half"
    with pytest.raises(RequestAborted):
        await anext(pieces)


# Lines


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 999)),
)
def test_lines_are_what_stands_between_their_ends(lines, end, cuts):
    raw = "".join(line + end for line in lines).encode()
    assert asyncio.run(collect(body(*split(raw, cuts)).lines())) == lines


async def test_the_last_line_needs_no_end():
    assert await collect(body(b"a\nb").lines()) == ["a", "b"]


async def test_a_line_that_is_too_long_is_refused():
    with pytest.raises(PayloadTooLarge):
        await collect(body(b"a" * 100).lines(limit=10))


async def test_values_are_read_line_by_line_and_empty_lines_are_none():
    assert await collect(body(b'{"a":1}\n\n[2]\r\n"\xc3', b'\xbc"').json_lines()) == [{"a": 1}, [2], "\u00fc"]


async def test_a_line_that_is_not_json_is_named():
    values = body(b"1\nx\n").json_lines()
    assert await anext(values) == 1
    with pytest.raises(BadRequest, match="line 2 of the body is not JSON"):
        await anext(values)


async def test_a_line_with_a_number_that_json_does_not_have_is_named():
    with pytest.raises(BadRequest, match="line 1 of the body is not JSON"):
        await anext(body(b"[NaN]\n").json_lines())


async def test_loads_may_be_your_own():
    assert await collect(body(b"1.5\n").json_lines(loads=str)) == ["1.5"]


@pytest.mark.parametrize("kind", ["text", "lines", "json_lines", "parts"])
async def test_a_timeout_while_waiting_for_the_next_piece_does_not_end_the_body(kind):
    found = RequestStream()
    found.fields = [(b"content-type", KIND)]
    found.feed(part(b"a", b"1") if kind == "parts" else b"1\n")
    items = getattr(found, kind)()
    await anext(items)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(items)
    found.feed(part(b"b", b"2") + b"--b--" if kind == "parts" else b"2\n")
    found.feed_eof()
    assert len(await collect(items)) == 1


async def test_text_that_cannot_be_read_never_seems_to_have_ended():
    pieces = body(b"\xff", b"more").text()
    for _ in range(3):
        with pytest.raises(BadRequest):
            await anext(pieces)


async def test_lines_after_one_that_is_not_json_can_be_read():
    values = body(b"1\nx\n3\n").json_lines()
    assert await anext(values) == 1
    with pytest.raises(BadRequest):
        await anext(values)
    assert await collect(values) == [3]


async def test_values_that_are_nested_too_deeply_are_a_bad_request():
    with pytest.raises(BadRequest, match="line 1 of the body is not JSON"):
        await collect(body(b"[" * 100_000).json_lines(limit=1_000_000))


# Files


async def test_a_body_is_saved_with_its_size_and_digest(tmp_path):
    data = bytes(range(256)) * 4_000
    saved = await body(*split(data, range(0, 1_000_000, 3_001))).save(tmp_path / "f")
    assert saved == (tmp_path / "f", len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "f").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


async def test_a_file_that_is_there_is_replaced_whole_or_kept(tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(RequestAborted):
        await body(b"new", error=RequestAborted("cut")).save(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    with pytest.raises(FileExistsError):
        await body(b"new").save(tmp_path / "f", overwrite=False)
    await body(b"new").save(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"new"


async def test_a_new_file_is_saved_where_none_may_be_overwritten(tmp_path):
    await body(b"new").save(tmp_path / "f", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("kind", ["directory", "pipe", "socket", "link to a pipe"])
async def test_what_is_no_file_is_never_replaced_and_nothing_is_read(kind, tmp_path):
    target = tmp_path / "f"
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "directory":
            target.mkdir()
        elif kind == "socket":
            server.bind(str(target))
        else:
            os.mkfifo(tmp_path / "pipe")
            os.rename(tmp_path / "pipe", target) if kind == "pipe" else target.symlink_to(tmp_path / "pipe")
        before = os.lstat(target)
        found = body(b"new")
        with pytest.raises(IsADirectoryError if kind == "directory" else FileExistsError, match=re.escape(str(target))):
            await found.save(target)
    assert os.lstat(target) == before
    assert not list(tmp_path.glob("*.part"))
    assert await found.read() == b"new"


async def test_a_file_that_may_not_be_overwritten_is_refused_before_the_body_is_read(tmp_path):
    (tmp_path / "f").symlink_to("nowhere")
    found = body(b"new")
    with pytest.raises(FileExistsError):
        await found.save(tmp_path / "f", overwrite=False)
    assert await found.read() == b"new"


async def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "f").symlink_to(tmp_path / "old")
    await body(b"new").save(tmp_path / "f")
    assert ((tmp_path / "f").read_bytes(), (tmp_path / "old").read_bytes()) == (b"new", b"old")
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("name", ["n" * 255, "\u00e9" * 127, "\U0001f600" * 63, "a" + "\u00e9" * 127])
async def test_a_name_may_be_as_long_as_the_system_allows(name, tmp_path):
    await body(b"new").save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"new"


async def test_a_client_that_leaves_leaves_no_file(app, serve, tmp_path):
    failed = asyncio.Event()

    @app.put("/", stream=True)
    async def upload(request):
        try:
            await request.stream.save(tmp_path / "f")
        finally:
            failed.set()

    async with Wire(await serve(app)) as wire:
        wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        wire.reset()
        async with asyncio.timeout(5):
            await failed.wait()
            while list(tmp_path.iterdir()):  # a thread may still be at it
                await asyncio.sleep(0.001)


# Responses


async def test_a_body_is_piped_into_the_response_as_it_comes(app, serve):
    sizes = []

    @app.post("/", stream=True)
    async def echo(request):
        async def write(response):
            sizes.append(await request.stream.pipe(response))

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await wire.until(b"3\r\none\r\n")
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.until(b"3\r\ntwo\r\n0\r\n\r\n")
    assert sizes == [6]


# Parts


@given(st.lists(st.integers(0, 1000), max_size=10))
def test_parts_are_the_same_however_they_arrive(cuts):
    async def read():
        parts = body(*split(FORM, cuts), content_type=KIND).parts()
        return [(one.name, one.filename, one.content_type, b"".join(await collect(one))) async for one in parts]

    assert asyncio.run(read()) == [
        ("title", None, "text/plain", b"gr\xc3\xbcn"),
        ("file", "a.txt", "text/plain", b"one\ntwo\n" * 10),
    ]


async def test_a_part_is_read_before_the_next_one_has_come():
    found = RequestStream()
    found.fields = [(b"content-type", KIND)]
    found.feed(part(b"a", b"first") + b"--b\r\n")
    parts = found.parts()
    first = await anext(parts)
    assert await first.value() == "first"
    found.feed(part(b"b", b"second")[5:] + b"--b--")
    found.feed_eof()
    assert await (await anext(parts)).value() == "second"
    assert await anext(parts, None) is None


async def test_what_was_not_read_of_a_part_is_skipped():
    assert [one.name async for one in body(FORM, content_type=KIND).parts()] == ["title", "file"]


async def test_part_that_is_named_by_an_extended_parameter_is_a_file():
    raw = b"--edge\r\nContent-Disposition: form-data; name=f; filename*=utf-8''%C3%A9.bin\r\n\r\n\xff\r\n--edge--\r\n"
    parts = body(raw, content_type=b"multipart/form-data; boundary=edge").parts()
    found = [(one.name, one.filename, one.content_type, await one.read()) async for one in parts]
    assert found == [("f", "\xe9.bin", "application/octet-stream", b"\xff")]


async def test_a_part_has_lines_and_becomes_a_file(tmp_path):
    async for one in body(FORM, content_type=KIND).parts():
        if one.filename:
            assert await one.read(3) == b"one"
            assert await one.readline() == b"\n"
            lines = one.lines()
            assert await anext(lines) == "two"
            saved = await one.save(tmp_path / "rest")
    assert (saved.size, (tmp_path / "rest").read_bytes()) == (72, b"one\ntwo\n" * 9)


async def test_a_read_of_a_part_that_is_cancelled_loses_nothing():
    found = RequestStream()
    found.fields = [(b"content-type", KIND)]
    found.feed(part(b"a", b"o" * 99)[:-2])  # multipart 1.2.2 keeps as many bytes back as an end mark has
    one = await anext(found.parts())
    assert await one.read(1) == b"o"
    for read in (one.readline, one.value, one.read_all, lambda: one.readexactly(200)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await read()
    arrived = await one.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await one.read()
    found.feed(b"nly two\nthree\r\n--b--")
    found.feed_eof()
    assert arrived + await one.readexactly(102 - len(arrived)) == b"o" * 98 + b"nly "
    assert await one.readline() == b"two\n"
    assert (await one.read(1), await one.read_all(4)) == (b"t", b"hree")
    assert (await one.read(), await one.get(1), await one.readline(), await one.value()) == (None, None, b"", "")


async def test_a_part_that_was_dropped_is_not_taken_for_an_empty_one(tmp_path):
    first, second = await collect(body(FORM, content_type=KIND).parts())
    for one in (first, second):
        for read in (one.read, one.readline, one.value, one.read_all, lambda: one.save(tmp_path / "f")):
            with pytest.raises(StreamError, match="was dropped"):
                await read()


async def test_a_part_that_was_read_has_ended_when_the_next_one_is_asked_for():
    parts = body(FORM, content_type=KIND).parts()
    first = await anext(parts)
    assert await first.value() == "gr\u00fcn"
    await anext(parts)
    assert await first.read() is None


@pytest.mark.parametrize("error", [BadRequest, RequestAborted])
async def test_a_part_that_was_cut_never_seems_to_have_ended(error):
    cut = RequestAborted("cut") if error is RequestAborted else None
    sent = b"cut " * 30
    parts = body(part(b"a", sent)[:-2], error=cut, content_type=KIND).parts()
    one = await anext(parts)
    with pytest.raises(error):
        await one.read_all()
    arrived = await one.read()  # multipart 1.2.2 keeps as many bytes back as an end mark has
    assert arrived and sent.startswith(arrived)
    for read in (one.read, one.read_all, one.value, lambda: anext(parts), lambda: anext(parts)):
        with pytest.raises(error):
            await read()


async def test_a_part_of_exactly_as_many_bytes_as_are_asked_for_is_not_too_large():
    one = await anext(body(FORM, content_type=KIND).parts())
    assert await one.read_all(5) == "gr\u00fcn".encode()


async def test_a_part_that_ends_too_early_is_a_bad_request():
    one = await anext(body(FORM, content_type=KIND).parts())
    with pytest.raises(BadRequest, match="ended 95 bytes too early"):
        await one.readexactly(100)
    assert await one.value() == "gr\u00fcn"


@pytest.mark.parametrize(
    ("raw", "kind", "limits", "error"),
    [
        (FORM, b"text/plain", {}, BadRequest),
        (FORM, b"multipart/form-data", {}, BadRequest),
        (FORM[:-10], KIND, {}, BadRequest),
        (b"", KIND, {}, BadRequest),
        (b"nonsense", KIND, {}, BadRequest),
        (FORM.replace(b"\r\n\r\n", b"\r\nContent-Length: -1\r\n\r\n", 1), KIND, {}, BadRequest),
        (FORM, KIND, {"max_parts": 1}, PayloadTooLarge),
        (FORM, KIND, {"max_part": 10}, PayloadTooLarge),
        (part(b"a" * 200, b"") + b"--b--", KIND, {"max_header": 100}, PayloadTooLarge),
        (b"x" * 9_000 + b"\r\n" + FORM, KIND, {}, PayloadTooLarge),
        (b"x\r\n" * 3_000 + FORM, KIND, {}, PayloadTooLarge),
        (FORM + b"\r\n" + b"x" * 300_000, KIND, {}, PayloadTooLarge),
        (FORM + b"\r\n" + FORM * 2_000, KIND, {}, PayloadTooLarge),
    ],
)
async def test_a_bad_multipart_body_is_refused(raw, kind, limits, error):
    with pytest.raises(error):
        [await collect(one) async for one in body(raw, content_type=kind).parts(**limits)]


@pytest.mark.parametrize("size", [9_000, 64], ids=["in one piece", "in small pieces"])
async def test_what_belongs_to_no_part_is_limited_and_not_read_to_its_end(size):
    def endless():
        while True:
            given.append(size)
            yield b"x" * size

    class Reader:
        pieces = endless()

        async def read(self, n=None):
            return next(self.pieces)

    given = []
    with pytest.raises(PayloadTooLarge):
        [one async for one in read_parts(Reader(), KIND.decode())]
    assert sum(given) < 20_000


async def test_what_stands_around_parts_is_passed_over():
    raw = b"preamble\r\n" + FORM + b"\r\nepilogue"
    assert [one.name async for one in body(raw, content_type=KIND).parts()] == ["title", "file"]


async def test_a_field_that_is_larger_than_a_field_is_refused():
    raw = part(b"a", b"x" * 70_000) + b"--b--"
    with pytest.raises(PayloadTooLarge):
        [await one.value() async for one in body(raw, content_type=KIND).parts()]


async def test_parts_are_read_on_the_wire(app, serve):
    @app.post("/", stream=True)
    async def upload(request):
        return text(json.dumps([[one.name, await one.value()] async for one in request.stream.parts()]))

    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
        KIND,
        len(FORM),
    )
    answer = await talk(await serve(app), head + FORM)
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == [["title", "gr\u00fcn"], ["file", "one\ntwo\n" * 10]]
