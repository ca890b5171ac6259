"""Every block of Python in the README and the guides runs: all blocks of a page in order, as one module."""

import re
import runpy
from pathlib import Path

import pytest

from tests.doubles.wire import Wire

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES_WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text())]


def program(page: Path) -> str:
    """The blocks of a page, each on the lines where it stands, so that a traceback points into the page."""
    text, lines = page.read_text(), []
    for block in BLOCK.finditer(text):
        begin = text.count("\n", 0, block.start(1))
        lines += [""] * (begin - len(lines)) + block[1].splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    module = tmp_path / "page.py"
    module.write_text(program(page))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(module))


def test_the_readme_has_code():
    assert ROOT / "README.md" in PAGES_WITH_CODE


async def test_the_ten_lines_of_the_readme_echo_both_ways(serve, tmp_path):
    module = tmp_path / "echo.py"
    module.write_text(program(ROOT / "README.md"))
    app = runpy.run_path(str(module))["app"]
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        await wire.until(b"4\r\nONE\n\r\n")
        wire.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
        await wire.until(b"4\r\nTWO\n\r\n0\r\n\r\n")
