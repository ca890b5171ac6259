"""The demo's page in a real browser, against the demo as `make demo` starts it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the page is tested with Playwright: pip install playwright"
)

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, "-m", "examples.demo", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+(?=/upload)", line):
                yield found[0]
                break
        else:
            pytest.fail("the demo did not start")
    finally:
        process.send_signal(2)
        try:
            assert process.wait(30) == 0, "Ctrl-C ends it"
        finally:
            process.kill()
            process.stdout.close()


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("there is no Chromium here: apt-get install chromium-headless-shell libatomic1")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture
def page(browser, url):
    found = browser.new_page()
    failures = []
    found.on("pageerror", lambda error: failures.append(str(error)))
    found.goto(url)
    yield found
    found.close()
    assert failures == []


def says(page, element, pattern):
    sync_api.expect(page.locator(f"#{element}")).to_have_text(re.compile(pattern), timeout=15_000)


def test_an_upload_is_told_while_it_is_read(page):
    page.click("#made")
    says(page, "up-out", r"whole: 67,108,864 bytes, sha256 3b6a07d0d404fab4")


def test_rows_arrive_and_cancelling_ends_the_query(page):
    says(page, "queries", r"^0$")
    page.click("#rows")
    says(page, "queries", r"^1$")
    says(page, "rows-count", r"^\d{1,3},\d00$")
    page.click("#rows-stop")
    says(page, "queries", r"^0$")
    assert 0 < int(page.inner_text("#rows-count").replace(",", "")) < 1_000_000


def test_two_windows_talk(page, browser, url):
    other = browser.new_page()
    other.goto(url)
    says(other, "clock", r"^\d\d:\d\d:\d\d$")
    says(page, "clock", r"^\d\d:\d\d:\d\d$")
    page.fill("#words", "hello <b>there</b>")
    page.press("#words", "Enter")
    says(page, "talk", r"^hello <b>there</b>$")
    says(other, "talk", r"^hello <b>there</b>$")
    other.close()


def test_a_large_file_goes_on_where_it_was(page):
    page.click("#large")
    says(page, "large-out", r"^[1-9]\d* of 1024 MiB; 200")
    page.click("#large-stop")
    page.click("#large:has-text('Go on')")
    says(page, "large-out", r"206 bytes \d+-1073741823/1073741824$")
    page.click("#large-stop")


def test_a_slow_reader_costs_the_server_nothing(page):
    says(page, "memory", r"^\d+\.\d$")
    before = float(page.inner_text("#memory"))
    page.click("#slow")
    says(page, "taken", r"^([2-9]|\d\d)\.\d$")
    assert float(page.inner_text("#memory")) < before + 16
    page.click("#slow-stop")


def test_an_error_in_mid_stream_is_seen_by_the_browser(page):
    page.click("#broken")
    says(page, "broken-out", r"200 OK, 3 pieces, then the connection was cut")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_all_of_it_is_reached_by_keyboard(page):
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"file", "made", "rows", "words", "Send", "large", "slow", "broken"} <= reached
