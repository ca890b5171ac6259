"""What a browser's EventSource does with our events, and with what stands in for them."""

import asyncio
import re
import threading
from pathlib import Path

import pytest

from sanicish import Channel, Event, Sanic, sse
from sanicish.response import raw, text
from tests.browser.test_demo import browser, sync_api  # noqa: F401

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "events.md"
SOON = 50  # milliseconds until an EventSource comes back


class Site:
    """An application in a thread: each connection to ``/news`` is answered by the next of ``answers``, the last for ever."""

    def __init__(self):
        self.app = Sanic("news", configure_logging=False, register=False, load_env=False)
        self.answers = []
        self.asked = []  # the Last-Event-ID, or what the URL says, of each connection
        self.app.add_route(self._answer, "/news")
        self.app.add_route(lambda request: raw(b"<title>news</title>", content_type="text/html"), "/")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = self.call(self.app.create_server(port=0, access_log=False))
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _answer(self, request):
        self.asked.append(request.headers.get("last-event-id") or request.args.get("last"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    async def _stop(self):
        self.app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
        self.server.close()
        await self.server.wait_closed()

    def stop(self):
        self.call(self._stop())

    def start_again(self):
        self.server = self.call(self.app.create_server(port=self.port, access_log=False))

    def end(self):
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()


@pytest.fixture
def site():
    found = Site()
    yield found
    found.end()


@pytest.fixture
def page(browser, site):  # noqa: F811
    found = browser.new_page()
    found.goto(site.url)
    yield found
    found.close()


def once(request):
    """One event, and a clean end."""
    return sse([Event("one", id=1, retry=SOON)])


def cut(request):
    """One event, and a reset."""

    async def send(events):
        await events.send("one", id=1, retry=SOON)
        raise ConnectionAbortedError

    return sse(send)


def page_of(status, content_type="text/plain"):
    return lambda request: text("not now", status, content_type=content_type)


LISTEN = """() => {
    window.errors = 0;
    window.source = new EventSource("/news");
    source.onerror = () => errors++;
}"""


def wait_until_closed(page):
    page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=15_000)


@pytest.mark.parametrize("status", [204, 400, 404, 429, 500, 502, 503])
def test_any_other_status_ends_it_for_good(site, page, status):
    site.answers = [once, page_of(status) if status != 204 else lambda request: raw(b"", 204)]
    page.evaluate(LISTEN)
    wait_until_closed(page)
    page.wait_for_timeout(4 * SOON)
    assert site.asked == [None, "1"]


def test_another_content_type_ends_it_for_good(site, page):
    site.answers = [once, page_of(200, "text/html")]
    page.evaluate(LISTEN)
    wait_until_closed(page)
    assert site.asked == [None, "1"]


@pytest.mark.parametrize("answer", [once, cut])
def test_a_stream_that_ends_or_is_cut_is_opened_again(site, page, answer):
    site.answers = [answer]
    page.evaluate(LISTEN)
    page.wait_for_function("errors >= 3", timeout=15_000)
    assert site.asked[:3] == [None, "1", "1"]
    page.evaluate("source.close()")


def test_a_refused_connection_is_tried_again(site, page):
    site.answers = [cut, once]
    page.evaluate(LISTEN)
    page.wait_for_function("errors >= 1", timeout=15_000)
    site.stop()
    seen = page.evaluate("errors")
    page.wait_for_function(f"errors >= {seen} + 2", timeout=15_000)
    assert page.evaluate("source.readyState") == 0
    site.start_again()
    before = len(site.asked)
    page.wait_for_function("source.readyState === EventSource.OPEN", timeout=15_000)
    assert len(site.asked) > before
    page.evaluate("source.close()")


def test_a_closed_channel_ends_it_for_good_once_it_has_seen_all(site, page):
    channel = Channel(history=10)
    site.answers = [lambda request: sse(channel)]

    async def publish(last):
        while not len(channel):
            await asyncio.sleep(0.01)
        for word in ("one", "two"):
            channel.publish(word, retry=SOON)
        if last:
            channel.close()

    page.evaluate("() => { window.seen = []; }")
    page.evaluate(LISTEN)
    page.evaluate("() => { source.onmessage = (event) => seen.push(event.data); }")
    site.call(publish(last=True))
    wait_until_closed(page)
    assert page.evaluate("seen") == ["one", "two"]
    assert site.asked == [None, "2"]


def script():
    """The JavaScript of the guide, with less patience."""
    (found,) = re.findall(r"^```js\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    assert "5000" in found
    return found.replace("5000", str(SOON))


def test_the_script_of_the_guide_comes_back_and_misses_nothing(site, page):
    channel = Channel(history=10)

    def listen(request):
        return sse(channel, last_event_id=request.args.get("last"))

    site.answers = [listen, page_of(503), page_of(502), listen]

    async def publish(*words, **options):
        while not len(channel):
            await asyncio.sleep(0.01)
        for word in words:
            channel.publish(word, **options)

    async def drop():
        for protocol in tuple(site.server.server.connections):
            protocol.abort()

    page.evaluate("() => { window.seen = []; window.show = (text) => seen.push(text); }")
    page.add_script_tag(content=script())
    site.call(publish("one", "two", retry=SOON))
    page.wait_for_function("seen.length === 2", timeout=15_000)
    site.call(drop())
    site.call(publish("three"))
    page.wait_for_function("seen.length === 3", timeout=15_000)
    assert page.evaluate("seen") == ["one", "two", "three"]
    assert site.asked == [None, "2", "2", "2"]

    async def left():
        async with asyncio.timeout(15):
            while len(channel):
                await asyncio.sleep(0.01)

    site.call(publish("", event="end"))
    site.call(left())
    page.wait_for_timeout(4 * SOON)
    assert len(site.asked) == 4
