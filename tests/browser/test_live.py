"""The page of the live view in a real browser."""

import re
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from tests.browser.test_demo import browser, sync_api  # noqa: F401
from tests.doubles.command import end, started

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio
from sanicish import Sanic, stream
from sanicish.live.view import live_view

app = Sanic("shop")
app.blueprint(live_view())

@app.get("/orders.csv")
async def export(request):
    async def write(response):
        while True:
            await response.write(bytes(65_536))
    return stream(write)

@app.get("/<name:path>")
async def waits(request, name):
    await asyncio.Event().wait()
"""


TOLD = {}  # the address of the live view that the log shows, by that of its server


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    (folder / "shop.py").write_text(PROGRAM)
    env = {"SANICISH_GRACEFUL_SHUTDOWN_TIMEOUT": "0.1"}
    process = started("shop:app", "-p", 0, "--no-access-log", cwd=folder, env=env)
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        TOLD[url] = re.search(r"live view on (\S+)", process.stdout.readline())[1]
        yield url
    finally:
        end(process)


@pytest.fixture
def opened(url):
    """Open a stream; it is closed after the test."""
    with ExitStack() as stack:

        def open_one(target):
            sock = stack.enter_context(socket.create_connection(url.removeprefix("http://").split(":")))
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return sock

        yield open_one


@pytest.fixture
def page(browser, url):  # noqa: F811
    found = browser.new_page()
    failures = []
    found.on("pageerror", lambda error: failures.append(str(error)))
    found.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
    found.goto(TOLD[url])
    assert found.url == f"{url}/live"
    sync_api.expect(found.locator("#state")).to_have_text("live", timeout=15_000)
    yield found
    found.close()
    assert failures == []


def row(page, text):
    return page.locator("tbody tr", has_text=text)


def expect(locator):
    return sync_api.expect(locator)


def test_a_stream_comes_and_goes(page, opened):
    sock = opened("/report")
    expect(row(page, "GET /report").locator(".waits")).to_have_text("handler", timeout=10_000)
    sock.close()
    expect(row(page, "GET /report")).to_have_count(0, timeout=10_000)


def test_a_client_that_does_not_read_is_seen_at_a_glance(page, opened):
    opened("/orders.csv")
    found = row(page, "/orders.csv")
    expect(found.locator(".waits")).to_have_text("client to read", timeout=10_000)
    expect(found).to_contain_text("0 B/s", timeout=10_000)
    expect(found.locator("td[data-name=Unsent]")).to_have_text(re.compile(r"^[\d.]+ [kM]B$"))
    expect(found).to_contain_text("127.0.0.1:")
    expect(found).to_contain_text("shop.py:13 write")


def test_the_rate_of_one_that_reads_is_shown(page, opened):
    sock = opened("/orders.csv")

    def read():
        with suppress(OSError):
            while sock.recv(1 << 16):
                pass

    reader = threading.Thread(target=read)
    reader.start()
    expect(row(page, "/orders.csv").locator("td[data-name=Rate]")).to_have_text(
        re.compile(r"^[\d.]+ [MG]B/s$"), timeout=10_000
    )
    expect(page.locator("#out")).to_have_text(re.compile(r"^[\d.]+ [MG]B/s$"))
    sock.shutdown(socket.SHUT_RDWR)
    reader.join()


def test_a_target_is_text_and_nothing_else(page, opened):
    opened("/<b>bold</b>")
    expect(row(page, "/<b>bold</b>")).to_have_count(1, timeout=10_000)
    assert page.locator("td b b").count() == 0


def test_a_filter_leaves_what_matches(page, opened):
    opened("/apples")
    opened("/pears")
    expect(row(page, "/pears")).to_have_count(1, timeout=10_000)
    page.fill("#filter", "get apples")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(row(page, "/apples")).to_have_count(1)
    page.fill("#filter", "plums")
    expect(page.locator("#none")).to_have_text("Nothing that is open matches.")


def test_a_click_on_a_head_sorts_and_another_turns_it_round(page, opened):
    for name in ("apples", "pears"):
        opened(f"/{name}")
    page.fill("#filter", "waits")
    expect(page.locator("tbody tr")).to_have_count(2, timeout=10_000)
    page.click("th:has-text('Stream') button")
    expect(page.locator("td.what b")).to_have_text(["GET /apples", "GET /pears"])
    page.click("th:has-text('Stream') button")
    expect(page.locator("td.what b")).to_have_text(["GET /pears", "GET /apples"])
    assert page.get_attribute("th:has-text('Stream')", "aria-sort") == "descending"


def test_a_pause_holds_the_page_still(page, opened):
    page.click("#pause")
    expect(page.locator("#state")).to_have_text("paused")
    with page.expect_event("console") as told:  # the next look has arrived, and nothing was drawn
        page.evaluate("source.addEventListener('message', () => console.log('looked'), {once: true})")
        opened("/plums")
    assert told.value.text == "looked" and row(page, "/plums").count() == 0
    page.click("#pause")
    expect(row(page, "/plums")).to_have_count(1, timeout=10_000)


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(page, opened, width):
    opened("/" + "x" * 300)
    expect(row(page, "xxx")).to_have_count(1, timeout=10_000)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_all_of_it_is_reached_by_keyboard(page):
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert reached[:2] == ["filter", "pause"] and {"Stream", "Peer", "Age", "Rate", "Waits for"} <= set(reached)
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").count() == 1
