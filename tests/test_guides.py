"""Every block of Python in the README and the guides runs: all blocks of a page in order, as one module.

Every block of console that asks the page's own application with curl shows what curl prints.
"""

import asyncio
import re
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

from examples.demo.app import make_app
from sanicish.command.cli import main
from tests.doubles.wire import Wire

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES_WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text())]
HOME = "127.0.0.1:8000"  # where the pages say that they listen


def program(page: Path) -> str:
    """The blocks of a page, each on the lines where it stands, so that a traceback points into the page."""
    text, lines = page.read_text(), []
    for block in BLOCK.finditer(text):
        begin = text.count("\n", 0, block.start(1))
        lines += [""] * (begin - len(lines)) + block[1].splitlines()
    return "\n".join(lines)


def run(page: Path, folder: Path) -> dict:
    """The names of a page's module."""
    module = folder / "page.py"
    module.write_text(program(page))
    return runpy.run_path(str(module))


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(page, tmp_path)


def test_the_readme_has_code():
    assert ROOT / "README.md" in PAGES_WITH_CODE


async def test_the_ten_lines_of_the_readme_echo_both_ways(serve, tmp_path):
    app = run(ROOT / "README.md", tmp_path)["app"]
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        await wire.until(b"4\r\nONE\n\r\n")
        wire.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
        await wire.until(b"4\r\nTWO\n\r\n0\r\n\r\n")


class Shown(NamedTuple):
    """One command of a page, and what the page says that it prints."""

    command: str
    output: str


def shown(text: str) -> list[Shown]:
    """The commands of a page that ask with curl."""
    found = []
    for block in CONSOLE.finditer(text):
        for part in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", "").partition("\n")
            if re.search(r"\bcurl\b", command):
                found.append(Shown(command, output))
    return found


def of_the_page(page: Path) -> list[Shown]:
    """Those that ask the page's own application; the README's demo stands under a heading of its own."""
    return shown(page.read_text().partition("\n## The demo\n")[0])


PAGES_WITH_CURL = [page for page in PAGES_WITH_CODE if of_the_page(page)]
CHANGING = [
    r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r'(?<=ETag: )"[^"]*"',
    r'(?<="rate":)[\d.]+|\d+(?= a second)',
    r'(?<="sha256":)"[^"]*"',
]


def steady(text: str) -> str:
    """Output without what is different every time: times, identifiers, the ends of lines."""
    for number, pattern in enumerate(CHANGING):
        text = re.sub(pattern, f"<{number}>", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def agrees(output: str, real: str) -> bool:
    """Whether a page shows what was printed; `…` stands for anything."""
    pattern = re.escape(steady(output)).replace("…", ".*")
    return re.fullmatch(pattern, steady(real)) is not None


async def printed(one: Shown, address: str, folder: Path) -> str:
    """What the command prints; one that the page ends with ^C is ended once it has printed as many lines."""
    command = one.command.replace(HOME, address)
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, stopped, _ = one.output.partition("^C")
    if stopped:
        lines = [await process.stdout.readline() for _ in output.strip().splitlines()]
        process.terminate()
        await process.communicate()
        return b"".join(lines).decode() + "^C"
    out, err = await process.communicate()
    errors = [line for line in err.decode().splitlines() if re.match(r"curl: \(\d+\)", line)]
    return out.decode() + "\n".join(errors if "curl: (" in output else [])


async def check(commands: list[Shown], served: tuple[str, int], folder: Path) -> None:
    address = "{}:{}".format(*served)
    for one in commands:
        real = (await printed(one, address, folder)).replace(address, HOME)
        assert agrees(one.output, real), f"shown is\n{one.output}\nfor $ {one.command}\nwhich prints\n{real}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_WITH_CURL, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_output_of_a_page_is_real(page, serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = (await asyncio.to_thread(run, page, tmp_path))["app"]
    await check(of_the_page(page), await serve(app), tmp_path)


@pytest.mark.slow
async def test_the_output_of_the_demo_is_real(serve, database, tmp_path):
    for name, size in (("large.bin", 1 << 30), ("bigfile", 300_000_000)):
        with (tmp_path / name).open("wb") as out:
            out.truncate(size)
    served = await serve(make_app(database, tmp_path / "large.bin"))
    commands = shown((ROOT / "README.md").read_text().partition("\n## The demo\n")[2])
    assert commands
    await check(commands, served, tmp_path)


def test_what_port_says_of_a_program_is_real(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "porting" / "sanic-20.12.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("export.py").write_text(re.search(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1])
    main(["port", "export.py"])
    assert f"```console\n$ sanicish port export.py\n{capsys.readouterr().out}```" in text


def test_output_that_is_made_up_is_seen():
    assert agrees(
        'HTTP/1.1 200 OK\nDate: Sat, 21 Nov 2026 04:14:59 GMT\n{"sha256":"a6…"}\n',
        ('HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 04:14:59 GMT\r\n{"sha256":"a6638c"}'),
    )
    assert not agrees("HTTP/1.1 200 OK\n", "HTTP/1.1 204 No Content\n")
