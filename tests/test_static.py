"""Files and directories under a path, and nothing outside of them."""

import asyncio
import os
import tempfile
import threading
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urljoin

import pytest

from sanicish.response import text
from sanicish.streams import files
from tests.doubles.wire import Wire, talk


@pytest.fixture
def root(tmp_path):
    """A directory to serve, beside something that must not be served."""
    directory = tmp_path / "public"
    directory.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (directory / "a.txt").write_text("hello")
    (directory / "a b.css").write_text("css")
    (directory / "sub").mkdir()
    (directory / "sub" / "b.html").write_text("<b>")
    (directory / "empty").write_bytes(b"")
    return directory


@pytest.fixture
def client(app, root):
    app.static("/static", root)
    return app.test_client


def get(client, path, **options):
    return client.get(path, gather_request=False, **options)


# A directory


@pytest.mark.parametrize(
    ("path", "body", "media_type"),
    [
        ("/static/a.txt", b"hello", "text/plain; charset=utf-8"),
        ("/static/a%20b.css", b"css", "text/css; charset=utf-8"),
        ("/static/sub/b.html", b"<b>", "text/html; charset=utf-8"),
        ("/static/empty", b"", "application/octet-stream"),
    ],
)
def test_file_is_sent_whole_with_its_length_and_type(client, path, body, media_type):
    response = get(client, path)
    assert response.status == 200
    assert response.body == body
    assert response.headers["Content-Length"] == str(len(body))
    assert response.content_type == media_type
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Transfer-Encoding" not in response.headers


@pytest.mark.parametrize("directory", ["public", b"public", Path("public")])
def test_directory_may_be_given_in_every_form_and_relative(app, root, directory, monkeypatch):
    monkeypatch.chdir(root.parent)
    app.static("/static", directory)
    monkeypatch.chdir("/")
    assert get(app.test_client, "/static/a.txt").body == b"hello"


@pytest.mark.parametrize("uri", ["/static", "/static/", "static"])
def test_slash_of_the_path_does_not_matter(app, root, uri):
    app.static(uri, root)
    assert get(app.test_client, "/static/a.txt").body == b"hello"


def test_directory_may_be_served_at_the_root(app, root):
    app.static("/", root)
    app.get("/route")(lambda request: pytest.fail("not asked for"))
    assert get(app.test_client, "/sub/b.html").body == b"<b>"


def test_routes_come_before_files(app, root):
    app.static("/", root)
    app.get("/a.txt")(lambda request: text("route"))
    assert get(app.test_client, "/a.txt").text == "route"


@pytest.mark.parametrize(
    "path",
    ["/static/none.txt", "/static/sub/none", "/static/none/none", "/static/", "/static", "/static/sub", "/static/sub/"],
)
def test_what_is_no_file_is_not_found(client, path):
    assert get(client, path).status == 404


def test_file_that_appears_later_is_found(client, root):
    (root / "later.txt").write_text("late")
    assert get(client, "/static/later.txt").text == "late"


def test_method_that_changes_something_is_405(client):
    response = client.post("/static/a.txt", data=b"x")[1]
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_head_tells_the_length_without_the_body(client):
    response = client.head("/static/a.txt")[1]
    assert (response.status, response.body, response.headers["Content-Length"]) == (200, b"", "5")


def test_type_may_be_given(app, root):
    app.static("/s", root, content_type="text/x-own")
    assert get(app.test_client, "/s/a.txt").content_type == "text/x-own"


def test_pattern_says_which_files_are_served(app, root):
    app.static("/any", root, pattern=r".+\.css", name="any")
    app.static("/short", root, pattern=r"\w+\.txt", name="short")
    assert get(app.test_client, "/any/a%20b.css").status == 200
    assert get(app.test_client, "/any/a.txt").status == 404
    assert get(app.test_client, "/short/a.txt").status == 200
    assert get(app.test_client, "/short/sub/b.html").status == 404


def test_version_host_and_slashes_of_files(app, root):
    app.static("/s", root, version=2, host="own.test")
    own = {"Host": "own.test"}
    assert get(app.test_client, "/v2/s/a.txt", headers=own).status == 200
    assert get(app.test_client, "/v2/s/a.txt").status == 404


# Ways out


@pytest.mark.parametrize(
    "path",
    [
        b"/static/../secret.txt",
        b"/static/sub/../../secret.txt",
        b"/static/%2e%2e/secret.txt",
        b"/static/%2E%2E%2Fsecret.txt",
        b"/static/..%2fsecret.txt",
        b"/static/.%2e/secret.txt",
        b"/static/..\\secret.txt",
        b"/static/..%5csecret.txt",
        b"/static//etc/passwd",
        b"/static/%2Fetc%2Fpasswd",
        b"/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        b"/static/..%2fpublic/a.txt",
        b"/static/a.txt%00.css",
        b"/static/%00",
        b"/static/a.txt/",
        b"/static/~root/secret.txt",
        b"/static/C:%5csecret.txt",
        b"/static/%252e%252e/secret.txt",
        b"/static/%ff%fe",
        b"/static/" + b"a" * 300,
        b"/static/" + b"a/" * 2000,
    ],
)
async def test_nothing_outside_is_found(app, serve, root, path):
    app.static("/static", root)
    answer = await talk(await serve(app), b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2].replace(b"secret.txt", b"")
    assert b"root:" not in answer


def test_directory_beside_whose_name_begins_alike_is_outside(client, root):
    (root.parent / "public-not").mkdir()
    (root.parent / "public-not" / "x.txt").write_text("x")
    assert get(client, "/static/../public-not/x.txt").status == 404


@pytest.fixture
def links(root):
    """Links that stay inside, and links that lead out: to a file, to a directory, to themselves."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("x")
    (root / "inner.txt").symlink_to(root / "a.txt")
    (root / "file.txt").symlink_to(outside / "x.txt")
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    return root


def statuses(app, *paths):
    return [get(app.test_client, f"/s/{path}").status for path in paths]


def test_links_out_are_not_followed_and_links_inside_are(app, links):
    app.static("/s", links)
    assert statuses(app, "inner.txt", "file.txt", "dir/x.txt", "loop", "loop/x") == [200, 404, 404, 404, 404]


def test_links_to_files_outside_may_be_allowed(app, links):
    app.static("/s", links, follow_external_symlink_files=True)
    assert statuses(app, "inner.txt", "file.txt", "dir/x.txt", "../secret.txt", "loop") == [200, 200, 404, 404, 404]


def test_links_to_directories_outside_may_be_allowed(app, links):
    app.static("/s", links, follow_external_symlink_dirs=True)
    assert statuses(app, "dir/x.txt", "file.txt", "../secret.txt", "dir/../secret.txt", "loop/x") == [
        200,
        404,
        404,
        404,
        404,
    ]


def test_what_is_no_regular_file_is_not_found(client, root):
    os.mkfifo(root / "pipe")
    assert get(client, "/static/pipe").status == 404


# One path for a file


async def head_of(address, path):
    """Status of the response to a path, sent as it is, and the path that it redirects to."""
    answer = await talk(address, b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in head[1:])
    location = fields.get(b"Location")
    if location is None:
        return int(head[0].split()[1]), None
    assert location.startswith(b".")
    plain = urljoin(b"http://a" + path, location)
    # Behind a proxy that takes a prefix off. (urljoin drops empty segments, which count.)
    if b"//" not in path:
        assert urljoin(b"http://a/outer/one" + path, location) == plain.replace(b"http://a/", b"http://a/outer/one/")
    return int(head[0].split()[1]), plain.removeprefix(b"http://a")


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        (b"/static/sub/../a.txt", b"/static/a.txt"),
        (b"/static/sub/%2e%2E/a.txt?x=1&y", b"/static/a.txt?x=1&y"),
        (b"/static/sub%2Fb.html", b"/static/sub/b.html"),
        (b"/static/sub//b.html", b"/static/sub/b.html"),
        (b"/static/./sub/./b.html", b"/static/sub/b.html"),
        (b"/static/sub/../../static/a.txt", None),
        (b"/static/%61.txt", b"/static/a.txt"),
        (b"/%73tatic/a.txt", b"/static/a.txt"),
        (b"/static/sub/..%2Fa%20b.css", b"/static/a%20b.css"),
        (b"/static/x/..", None),
        (b"/static/....//secret.txt", b"/static/..../secret.txt"),
        (b"/static/sub/x/..", b"/static/sub/"),
        (b"/static/x%0a/../a.txt", b"/static/a.txt"),
        (b"/static/sub/../x%0ay", None),
    ],
)
async def test_roundabout_path_is_redirected_so_that_rules_see_what_is_served(app, serve, root, path, clean):
    app.static("/static", root)
    assert await head_of(await serve(app), path) == ((404, None) if clean is None else (301, clean))


async def test_clean_path_keeps_the_parameters_before_it(app, serve, root):
    app.static("/<tenant:int>/files", root)
    address = await serve(app)
    assert await head_of(address, b"/7/files/sub/../a.txt") == (301, b"/7/files/a.txt")
    assert (await head_of(address, b"/7/files/a.txt"))[0] == 200


async def test_directory_whose_own_path_has_dots_is_served(app, serve, root):
    app.static("/v1/../files", root)
    assert await head_of(await serve(app), b"/v1/../files/a.txt") == (200, None)


@pytest.mark.parametrize(
    "path", [b"/static/a%20b.css", b"/static/%C3%A9.txt", b"/static/%c3%a9.txt", b"/static/(1)@.txt"]
)
async def test_escapes_that_are_needed_or_allowed_are_left_alone(app, serve, root, path):
    (root / "\xe9.txt").write_text("e")
    (root / "(1)@.txt").write_text("1")
    app.static("/static", root)
    assert await head_of(await serve(app), path) == (200, None)


# Names that begin with a dot


async def test_dotfiles_may_be_hidden(app, serve, root):
    for name in (".env", ".git/config", ".well-known/acme", "sub/.hidden"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    app.static("/all", root, name="all")
    app.static("/some", root, name="some", dotfiles=False)
    address = await serve(app)
    asked = [b".env", b".git/config", b"sub/.hidden", b"%2eenv", b".well-known/acme", b"a.txt"]
    assert [(await head_of(address, b"/all/" + path))[0] for path in asked] == [200, 200, 200, 301, 200, 200]
    assert [(await head_of(address, b"/some/" + path))[0] for path in asked] == [404, 404, 404, 301, 200, 200]


# A link that is put in the place of a file


async def swapped_while_asked(app, serve, root, paths, swap):
    """Bodies of 400 responses while a thread goes on calling ``swap``, and of one after it has stopped."""
    app.static("/s", root)
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            swap()

    swapping = asyncio.create_task(asyncio.to_thread(go_on))
    try:
        async with Wire(await serve(app)) as wire:
            bodies = []
            for path in paths * 200:
                wire.send(b"GET /s/%b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                answer = await wire.answer("GET")
                assert answer.status in (200, 404)
                bodies.append(answer.body if answer.status == 200 else b"")
            stop.set()
            await swapping
            wire.send(b"GET /s/%b HTTP/1.1\r\nHost: a\r\n\r\n" % paths[0])
            bodies.append((await wire.answer("GET")).body)
    finally:
        stop.set()
        await swapping
    return bodies


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["openat2", "without openat2"])
async def test_file_swapped_for_a_link_out_is_never_followed(app, serve, root, kernel, monkeypatch):
    if kernel == "without openat2":
        monkeypatch.setattr(files, "_syscall", None)
    (root / "sub" / "x").write_text("hello")
    (root.parent / "x").write_text("secret")
    link, plain = root / "link", root / "plain"

    def swap():
        link.symlink_to(root.parent / "x")
        link.replace(root / "a.txt")
        plain.write_text("hello")
        plain.replace(root / "a.txt")

    bodies = await swapped_while_asked(app, serve, root, [b"a.txt"] * 2, swap)
    assert bodies[-1] == b"hello"
    assert b"secret" not in bodies


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["openat2", "without openat2"])
async def test_directory_swapped_for_a_link_out_is_never_followed(app, serve, root, kernel, monkeypatch):
    if kernel == "without openat2":
        monkeypatch.setattr(files, "_syscall", None)
    (root / "sub" / "x").write_text("hello")
    (root.parent / "x").write_text("secret")

    def swap():
        (root / "sub").rename(root / "kept")
        (root / "sub").symlink_to(root.parent)
        (root / "sub").unlink()
        (root / "kept").rename(root / "sub")

    bodies = await swapped_while_asked(app, serve, root, [b"sub/x", b"sub/x"], swap)
    assert bodies[-1] == b"hello"
    assert b"secret" not in bodies


@pytest.mark.parametrize("kernel", ["openat2", "without openat2"])
def test_links_inside_are_followed_whatever_the_kernel_can(app, links, kernel, monkeypatch):
    if kernel == "without openat2":
        monkeypatch.setattr(files, "_syscall", None)
    (links / "inner").symlink_to("sub")
    app.static("/s", links)
    assert statuses(app, "a.txt", "sub/b.html", "inner.txt", "inner/b.html", "file.txt", "dir/x.txt", "loop") == [
        *[200] * 4,
        *[404] * 3,
    ]


# An index


def test_directory_without_an_index_is_not_found(client):
    assert get(client, "/static/sub/").status == 404


@pytest.mark.parametrize("index", ["index.html", ["index.html", "other.html"], ("none.html", "index.html")])
def test_index_stands_for_its_directory(app, root, index):
    (root / "index.html").write_text("top")
    (root / "sub" / "index.html").write_text("below")
    app.static("/s", root, index=index)
    client = app.test_client
    assert get(client, "/s/").text == get(client, "/s").text == "top"
    assert get(client, "/s/sub").text == get(client, "/s/sub/").text == "below"
    assert get(client, "/s/a.txt").text == "hello"


@pytest.mark.parametrize("strict", [False, True])
async def test_directory_without_its_slash_is_redirected_to_it(app, serve, root, strict):
    (root / "index.html").write_text("top")
    (root / "sub" / "index.html").write_text("below")
    (root / "a:b").mkdir()
    (root / "a:b" / "index.html").write_text("colon")
    app.static("/s", root, index="index.html", strict_slashes=strict)
    address = await serve(app)
    assert await head_of(address, b"/s") == (301, b"/s/")
    assert await head_of(address, b"/s/sub?a=b") == (301, b"/s/sub/?a=b")
    assert await head_of(address, b"/s/a:b") == (301, b"/s/a:b/")
    for path in (b"/s/", b"/s/sub/", b"/s/a:b/"):
        assert await head_of(address, path) == (200, None)


async def test_directory_without_index_is_not_redirected(app, serve, root):
    app.static("/s", root, index="index.html")
    assert await head_of(await serve(app), b"/s/sub") == (404, None)


async def test_directory_that_may_only_be_entered_has_its_index(app, serve):
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        (Path(name) / "sub").mkdir()
        (Path(name) / "sub" / "index.html").write_text("below")
        (Path(name) / "sub").chmod(0o311)
        app.static("/s", name, index="index.html")
        address = await serve(app)
        try:
            if root:
                os.seteuid(65_534)
            assert await head_of(address, b"/s/sub") == (301, b"/s/sub/")
            assert await head_of(address, b"/s/sub/") == (200, None)
        finally:
            if root:
                os.seteuid(0)
            (Path(name) / "sub").chmod(0o755)


def test_directory_whose_index_is_missing_is_not_found(app, root):
    app.static("/s", root, index="index.html")
    assert get(app.test_client, "/s/sub/").status == 404


def test_index_that_leads_out_is_not_found(app, root):
    (root / "index.html").symlink_to(root.parent / "secret.txt")
    app.static("/s", root, index="index.html")
    assert get(app.test_client, "/s/").status == 404


# One file


def test_single_file_has_a_path_of_its_own(app, root):
    app.static("/the/file", root / "a.txt")
    assert get(app.test_client, "/the/file").text == "hello"
    assert get(app.test_client, "/the/file/more").status == 404


def test_single_file_may_lie_behind_a_link(app, links):
    app.static("/file", links / "file.txt")
    assert get(app.test_client, "/file").text == "x"


def test_single_file_is_the_one_that_its_link_leads_to_now(app, links):
    app.static("/file", links / "file.txt")
    (links / "file.txt").unlink()
    (links / "file.txt").symlink_to(links / "a.txt")
    assert get(app.test_client, "/file").text == "hello"


# Simple conditional and range requests


def test_file_that_did_not_change_is_not_sent_again(client, root):
    os.utime(root / "a.txt", (1_700_000_000, 1_700_000_000.5))
    modified = formatdate(1_700_000_000, usegmt=True)
    assert get(client, "/static/a.txt").headers["Last-Modified"] == modified
    response = get(client, "/static/a.txt", headers={"If-Modified-Since": modified})
    assert (response.status, response.body, response.headers["Last-Modified"]) == (304, b"", modified)
    earlier = formatdate(1_699_999_999, usegmt=True)
    assert get(client, "/static/a.txt", headers={"If-Modified-Since": earlier}).status == 200


@pytest.mark.parametrize(
    "when", ["", "yesterday", "Thu, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 -2359", "0"]
)
def test_date_that_cannot_be_read_counts_for_nothing(client, when):
    assert get(client, "/static/a.txt", headers={"If-Modified-Since": when}).status == 200


def test_time_of_change_may_be_kept_to_oneself(app, root):
    app.static("/s", root, use_modified_since=False)
    response = get(app.test_client, "/s/a.txt", headers={"If-Modified-Since": formatdate(usegmt=True)})
    assert response.status == 200
    assert "Last-Modified" not in response.headers


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [("bytes=1-3", b"ell", "bytes 1-3/5"), ("bytes=3-", b"lo", "bytes 3-4/5"), ("bytes=-2", b"lo", "bytes 3-4/5")],
)
def test_range_is_served_by_default(client, asked, body, told):
    response = get(client, "/static/a.txt", headers={"Range": asked})
    assert (response.status, response.body, response.headers["Content-Range"]) == (206, body, told)
    assert response.headers["Content-Length"] == str(len(body))


def test_range_behind_the_end_is_416_with_the_size(client):
    response = get(client, "/static/a.txt", headers={"Range": "bytes=5-"})
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */5")


def test_range_in_another_unit_is_no_range(client):
    assert get(client, "/static/a.txt", headers={"Range": "lines=1-2"}).body == b"hello"
