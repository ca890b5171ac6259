"""Files: what may be opened, how it is read in pieces, and what a download is called."""

import asyncio
import errno
import os
import tempfile
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sanicish.exceptions import FileNotFound, Forbidden
from sanicish.http.media import content_disposition, guess_type
from sanicish.streams import files
from sanicish.streams.files import open_file, read_at
from tests.waiting import until


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ten"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def locked():
    """A directory that may be entered, with a file that may not be read and a directory that may not be entered.

    Whoever runs the tests is an ordinary user for as long as this lasts.
    """
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        inside = Path(name) / "inside"
        inside.mkdir()
        (inside / "file").touch()
        (Path(name) / "file").touch(0)
        inside.chmod(0)
        if root:
            os.seteuid(65_534)
        yield Path(name)
        if root:
            os.seteuid(0)
        inside.chmod(0o700)


@pytest.fixture
def descriptors(tmp_path):
    """Whatever a test opens below its directory is closed when it is through."""
    yield
    assert [name for name in map(target_of, os.listdir("/proc/self/fd")) if name.startswith(str(tmp_path))] == []


def target_of(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""  # the one that listed them


@asynccontextmanager
async def opened(path):
    """A descriptor, and the status of the file."""
    descriptor, status = await open_file(path)
    try:
        yield descriptor, status
    finally:
        os.close(descriptor)


# Reading


@pytest.fixture(params=["in memory", "on the disk"])
def place(request, monkeypatch):
    """Where the bytes of a file are, as far as the kernel tells."""
    if request.param == "on the disk":
        monkeypatch.setattr(files, "_NOWAIT", 0)


@pytest.mark.usefixtures("descriptors", "place")
async def test_bytes_are_read_by_position_and_none_behind_the_end(path):
    async with opened(path) as (descriptor, status):
        assert status.st_size == 10
        assert await read_at(descriptor, 8, 4) == b"89"
        assert await read_at(descriptor, 2, 4) == b"2345"
        assert await read_at(descriptor, 10, 4) == b""


@pytest.mark.usefixtures("place")
async def test_a_file_that_is_replaced_is_read_as_it_was_opened(path, tmp_path):
    (tmp_path / "other").write_bytes(b"x")
    async with opened(path) as (descriptor, _):
        os.replace(tmp_path / "other", path)
        assert await read_at(descriptor, 0, 10) == b"0123456789"


# Refusing


def odd_names(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    return [
        tmp_path / "missing",
        tmp_path,
        tmp_path / "file" / "below",
        tmp_path / "loop",
        tmp_path / "dangling",
        tmp_path / ("x" * 300),
        f"{tmp_path}/a\x00b",
        "",
        Path("/dev/null"),
        Path("/dev/zero"),
    ]


@pytest.mark.usefixtures("descriptors")
async def test_what_is_no_regular_file_is_not_found(tmp_path):
    for name in odd_names(tmp_path):
        with pytest.raises(FileNotFound) as caught:
            await open_file(name)
        assert caught.value.path == name


@pytest.mark.usefixtures("descriptors")
async def test_a_fifo_is_refused_without_waiting_for_who_writes_to_it(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileNotFound):
        await open_file(tmp_path / "fifo")


async def test_a_file_that_may_not_be_read_is_forbidden(locked):
    for path in (locked / "file", locked / "inside" / "file"):
        with pytest.raises(Forbidden):
            await open_file(path)


async def test_a_link_to_a_file_is_that_file(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    async with opened(tmp_path / "link") as (_, status):
        assert status.st_size == 10


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM])
async def test_a_failure_of_the_machine_is_not_told_as_a_missing_file(path, monkeypatch, number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "_syscall", None)
    monkeypatch.setattr(files.os, "open", fail)
    with pytest.raises(OSError, match="Errno") as caught:
        await open_file(path)
    assert caught.value.errno == number


# Being cancelled


class Gate:
    """Holds a function in its thread until the test lets it go."""

    def __init__(self, function):
        self.function = function
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, *arguments):
        self.entered.set()
        assert self.go.wait(5)
        return self.function(*arguments)

    async def wait_entered(self):
        assert await asyncio.to_thread(self.entered.wait, 5)


async def settle(loop_turns=10):
    """Let threads hand over their results."""
    await asyncio.to_thread(lambda: None)
    for _ in range(loop_turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("outcome", ["opened", "missing"])
async def test_an_opening_that_is_given_up_leaves_no_descriptor(path, tmp_path, monkeypatch, outcome):
    monkeypatch.setattr(files, "_syscall", None)
    gate = Gate(files._open)
    monkeypatch.setattr(files, "_open", gate)
    closed = []
    monkeypatch.setattr(files.os, "close", lambda fd, close=os.close: (closed.append(fd), close(fd)))

    task = asyncio.create_task(open_file(path if outcome == "opened" else tmp_path / "missing"))
    await gate.wait_entered()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == []
    gate.go.set()
    if outcome == "opened":
        await until(lambda: closed)
    await settle()
    assert len(closed) == (outcome == "opened")


async def test_a_read_that_is_given_up_does_not_wait_for_its_thread(path, monkeypatch):
    monkeypatch.setattr(files, "_NOWAIT", 0)
    gate = Gate(lambda *arguments: b"late")
    monkeypatch.setattr(files, "_pread", files.aiofiles.os.wrap(gate))
    async with opened(path) as (descriptor, _):
        task = asyncio.create_task(read_at(descriptor, 0, 4))
        await gate.wait_entered()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.go.set()
    await settle()


# Names


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("A.TXT", "text/plain; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.ndjson", "application/x-ndjson"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.json.br", "application/octet-stream"),
        ("a.txt.bz2", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("", "application/octet-stream"),
        (".txt", "application/octet-stream"),
        ("a.nonsense", "application/octet-stream"),
    ],
)
def test_the_media_type_is_told_by_the_name(name, media_type):
    assert guess_type(name) == media_type


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("report.csv", 'attachment; filename="report.csv"'),
        ("my report.csv", 'attachment; filename="my report.csv"'),
        ("a;b.csv", 'attachment; filename="a;b.csv"'),
        ('a"b.csv', "attachment; filename=\"a_b.csv\"; filename*=UTF-8''a%22b.csv"),
        ("a\\b.csv", "attachment; filename=\"a_b.csv\"; filename*=UTF-8''a%5Cb.csv"),
        ("100%.csv", "attachment; filename=\"100_.csv\"; filename*=UTF-8''100%25.csv"),
        ("na\xefve.csv", "attachment; filename=\"na_ve.csv\"; filename*=UTF-8''na%C3%AFve.csv"),
        ("\u4f60.csv", "attachment; filename=\"_.csv\"; filename*=UTF-8''%E4%BD%A0.csv"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("a\x00\x7f", "attachment; filename=\"a__\"; filename*=UTF-8''a%00%7F"),
        ("bad\udcff", "attachment; filename=\"bad_\"; filename*=UTF-8''bad%3F"),
        ("", 'attachment; filename=""'),
    ],
)
def test_any_name_of_a_download_can_be_sent(name, field):
    assert content_disposition(name) == field


def test_a_file_may_be_shown_instead_of_downloaded():
    assert content_disposition("a.pdf", "inline") == 'inline; filename="a.pdf"'
