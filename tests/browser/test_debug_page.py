"""The error page of debug mode in a real browser, at the width of a desk and of a phone, light and dark."""

import re
import subprocess

import pytest

from tests.browser.test_demo import browser  # noqa: F401
from tests.doubles.command import end, started

pytestmark = pytest.mark.slow

PROGRAM = """
from sanicish import Sanic

app = Sanic("shop")

@app.get("/<name>")
async def fail(request, name):
    raise ValueError("<img src=x onerror=alert(1)><script>alert(2)</script> and a word as long as " + "x" * 300)
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("debug")
    (folder / "shop.py").write_text(PROGRAM)
    process = started("shop:app", "-p", 0, "--debug", "--no-access-log", cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield re.search(r"http://[\d.:]+", process.stdout.readline())[0]
    finally:
        end(process)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_the_page_fits_and_runs_nothing(browser, url, width, scheme):  # noqa: F811
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text) if "500" not in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    assert page.goto(f"{url}/%3Cscript%3Ealert(3)%3C%2Fscript%3E").status == 500
    assert said == []
    assert [one for one in asked if "/%3Cscript" not in one and not one.endswith("/favicon.ico")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").inner_text() == "ValueError"
    assert page.locator(".hit").first.inner_text().strip().startswith("8")
    page.close()
