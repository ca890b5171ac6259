"""Files as clients see them: conditions, ranges, types, sources that are no files."""

import asyncio
import email
import os
import ssl
from datetime import UTC, datetime

import pytest

from sanicish.response import file, file_stream, ranged, text, validate_file

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "a.bin"
    found.write_bytes(CONTENT)
    os.utime(found, (1_700_000_000, 1_700_000_000))
    return found


@pytest.fixture
def get(app, path):
    """Asks for the file with fields, and gives the response."""
    app.get("/")(lambda request: file(path))

    def ask(method="get", **fields):
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return getattr(app.test_client, method)("/", headers=headers)[1]

    return ask


def test_a_file_tells_its_validators(get):
    response = get()
    assert response.body == CONTENT
    assert response.headers["etag"].startswith('"')
    assert response.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-length"] == str(len(CONTENT))


def test_a_copy_that_is_good_is_not_sent_again(get):
    first = get()
    again = get(if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers and "accept-ranges" not in again.headers
    assert get(if_modified_since=first.headers["last-modified"]).status == 304


def test_a_copy_that_is_not_the_expected_one_is_412(get):
    assert get(if_match='"other"').status == 412


def test_a_range_is_206(get):
    response = get(range="bytes=100-199")
    assert (response.status, response.body) == (206, CONTENT[100:200])
    assert response.headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    assert response.headers["content-length"] == "100"


def test_a_large_range_is_sent_too(get):
    assert get(range="bytes=1-").body == CONTENT[1:]
    assert get(range="bytes=-70000").body == CONTENT[-70_000:]


def test_a_range_of_another_state_is_the_whole(get):
    first = get()
    assert get(range="bytes=0-9", if_range=first.headers["etag"]).status == 206
    assert get(range="bytes=0-9", if_range='"other"').body == CONTENT


def test_a_range_beyond_the_end_is_416_with_the_size(get):
    response = get(range="bytes=200000-")
    assert (response.status, response.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_a_range_that_is_none_is_the_whole(get):
    assert get(range="lines=1-2").status == get(range="bytes=x").status == 200


def test_several_ranges_are_one_multipart_body(get):
    response = get(range="bytes=0-9,100-109,-5")
    assert response.status == 206
    assert response.headers["content-length"] == str(len(response.body))
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + response.body).get_payload()
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {first}-{last}/{len(CONTENT)}" for first, last in ((0, 9), (100, 109), (102_395, 102_399))
    ]
    assert [part.get_payload(decode=True) for part in parts] == [CONTENT[:10], CONTENT[100:110], CONTENT[-5:]]


def test_head_tells_what_get_would(get):
    whole, head = get(), get("head")
    told = [name for name in whole.headers if name.lower() != "date"]
    assert [(name, head.headers[name]) for name in told] == [(name, whole.headers[name]) for name in told]
    assert head.body == b""


def test_what_is_told_of_caching_may_be_chosen(app, path):
    app.get("/a")(lambda request: file(path, max_age=60, immutable=True))
    app.get("/b")(lambda request: file(path, no_store=True))
    app.get("/c")(lambda request: file(path, headers={"Cache-Control": "private", "ETag": '"mine"'}, max_age=60))
    app.get("/d")(lambda request: file(path, last_modified=datetime(2020, 1, 1, tzinfo=UTC)))

    def told(target, name):
        return app.test_client.get(target)[1].headers[name]

    assert told("/a", "cache-control") == "max-age=60, immutable"
    assert told("/b", "cache-control") == "no-store"
    assert (told("/c", "cache-control"), told("/c", "etag")) == ("private", '"mine"')
    assert told("/d", "last-modified") == "Wed, 01 Jan 2020 00:00:00 GMT"


def test_conditions_may_be_ignored(app, path):
    app.get("/")(lambda request: file(path, validate_when_requested=False))
    assert app.test_client.get("/", headers={"If-None-Match": "*"})[1].status == 200


def test_a_length_of_your_own_is_kept_to_and_has_no_ranges(app, path):
    app.get("/")(lambda request: file(path, headers={"Content-Length": str(len(CONTENT))}))
    response = app.test_client.get("/", headers={"Range": "bytes=0-1"})[1]
    assert (response.status, response.body) == (200, CONTENT)


def test_a_small_chunk_size_is_kept_to(app, path):
    app.get("/")(lambda request: file_stream(path, chunk_size=10_000))
    chunks = app.test_client.get("/")[1].chunks
    assert b"".join(chunks) == CONTENT
    assert {len(chunk) for chunk in chunks[:-1]} == {10_000}


def test_a_file_goes_through_tls(app, path):
    trustme = pytest.importorskip("trustme")
    path.write_bytes(CONTENT * 20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    app.get("/")(lambda request: file(path))
    response = app.test_client.get("/", server_kwargs={"ssl": context})[1]
    assert response.body == CONTENT * 20


# Sources


class Store:
    """An object in a store that is asked piece by piece."""

    def __init__(self, content, lazily=False):
        self.content = content
        self.size = len(content)
        self.lazily = lazily
        self.asked = []

    def read_at(self, offset, n):
        self.asked.append((offset, n))
        data = self.content[offset : offset + min(n, 50_000)]
        return self._later(data) if self.lazily else data

    async def _later(self, data):
        return data


@pytest.mark.parametrize("lazily", [False, True])
def test_anything_with_a_size_has_ranges(app, lazily):
    store = Store(CONTENT, lazily)
    app.get("/")(lambda request: ranged(store, "text/plain", etag='"v1"'))

    def ask(**fields):
        return app.test_client.get("/", headers={name.replace("_", "-"): value for name, value in fields.items()})[1]

    assert ask().body == CONTENT
    store.asked.clear()
    assert ask(range="bytes=10-19").body == CONTENT[10:20]
    assert store.asked == [(10, 10)], "nothing else was read"
    assert ask(if_none_match='"v1"').status == 304
    assert ask(range="bytes=0-0,5-5").status == 206


def test_a_source_that_ends_early_is_cut(app):
    store = Store(CONTENT)
    store.size += 1
    app.get("/")(lambda request: ranged(store))
    assert not app.test_client.get("/")[1].complete


async def test_validate_file_says_whether_a_copy_is_good():
    assert (await validate_file({"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 1_700_000_000)).status == 304
    assert await validate_file({}, 1_700_000_000) is None


# Directories


def test_a_packed_file_is_sent_to_who_takes_it(app, tmp_path):
    for name, content in (("a.txt", b"plain"), ("a.txt.gz", b"packed"), ("b.txt", b"plain")):
        (tmp_path / name).write_bytes(content)
    app.static("/s", tmp_path, precompressed=True)

    def ask(name, encodings):
        return app.test_client.get(f"/s/{name}", headers={"Accept-Encoding": encodings})[1]

    packed = ask("a.txt", "br, gzip")
    assert (packed.body, packed.headers["content-encoding"], packed.headers["vary"]) == (
        b"packed",
        "gzip",
        "Accept-Encoding",
    )
    assert packed.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask("a.txt", "gzip;q=0").body == ask("a.txt", "br").body == ask("b.txt", "gzip").body == b"plain"
    assert ask("a.txt", "br").headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "br"), ("gzip, br;q=0.5", "gzip"), ("br;q=0, gzip", "gzip"), ("identity, gzip;q=0.5", None)],
)
def test_of_several_packed_files_the_one_is_sent_that_is_wanted_most(app, tmp_path, accepted, encoding):
    for name in ("a.txt", "a.txt.gz", "a.txt.br"):
        (tmp_path / name).write_bytes(b"")
    app.static("/s", tmp_path, precompressed=True)
    response = app.test_client.get("/s/a.txt", headers={"Accept-Encoding": accepted})[1]
    assert response.headers.get("content-encoding") == encoding


def test_a_directory_tells_how_long_its_files_are_good(app, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a")
    app.static("/s", tmp_path, max_age=3600)
    assert app.test_client.get("/s/a.txt")[1].headers["cache-control"] == "max-age=3600"


@pytest.mark.slow
def test_downloads_that_are_left_leave_no_descriptor(app, path):
    path.write_bytes(CONTENT * 100)
    app.get("/")(lambda request: file(path))
    app.get("/open")(lambda request: text(str(len(os.listdir("/proc/self/fd")))))

    async def many():
        async with app.test_client() as client:
            before = int((await client.get("/open")).text)
            for _ in range(2_000):
                async with client.request("/", small_buffer=True) as connection:
                    await connection.headers_received()
                    await connection.reset()
            while int((await client.get("/open")).text) > before:
                pass

    asyncio.run(asyncio.wait_for(many(), 50))
