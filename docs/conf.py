"""How Sphinx builds these pages: `make docs`. Each page is Markdown that reads well without it."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "sanicish"
version = release = version_of("sanicish")
project_copyright = "the authors of sanicish"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header"]  # pages of the repository's root begin where they like

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = "sanicish"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e5f", "color-brand-content": "#0b6e5f"},
    "dark_css_variables": {"color-brand-primary": "#4fd1b5", "color-brand-content": "#4fd1b5"},
}
# The index lists its pages in words, for who reads it as a file; this is the same for the sidebar. What no line names
# comes behind, so a new guide is in the book when its file is there.
CONTENTS = {
    "Start": ["tutorial", "examples"],
    "Guides": [
        "guide/request-streams",
        "guide/responses",
        "guide/generators",
        "guide/events",
        "guide/rows",
        "guide/postgres",
        "guide/files",
        "guide/templates",
        "guide/errors",
        "guide/timeouts",
        "guide/compression",
        "guide/testing",
        "guide/debugging",
        "guide/logs-and-metrics",
        "guide/deployment",
        "guide/behind-proxies",
        "guide/asgi",
        "guide/*",
    ],
    "Porting": ["porting/sanic-20.12", "porting/sanic-21-and-later", "porting/flask", "porting/quart", "porting/*"],
    "Reference": [
        "reference/application",
        "reference/request",
        "reference/responses",
        "reference/streams",
        "reference/*",
    ],
    "Design": [
        "architecture",
        "design/wire",
        "design/backpressure",
        "design/timeouts",
        "design/closing",
        "design/simulation",
        "design/security",
        "design/*",
        "benchmarks",
    ],
    "Decisions": ["decisions/*"],
    "Project": ["changelog", "contributing", "security"],
}

# Pages of the repository's root, which are pages of the book too.
OF_ROOT = {
    "examples": "examples/README.md",
    "architecture": "ARCHITECTURE.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
}


def _short_title(page: str) -> str:
    """The first heading of a page, without what comes after its colon."""
    path = ROOT / OF_ROOT[page] if page in OF_ROOT else DOCS / f"{page}.md"
    heading = re.search(r"^# (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return heading[1].partition(":")[0].replace("`", "") if heading else page


def _contents() -> str:
    """Each caption with its pages, those that are named first."""
    there = sorted(str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md"))
    parts = []
    for caption, patterns in CONTENTS.items():
        named = [page for pattern in patterns for page in there if fnmatch(page, pattern)]
        pages = "\n".join(f"{_short_title(page)} <{page}>" for page in dict.fromkeys(named))
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n")
    return "\n\n".join(["", *parts])


def _examples(text: str) -> str:
    """The list of the examples, and each of them whole."""
    text = re.sub(r"\]\((\w+)\.py\)", r"](#\1)", text.replace("](../docs/", "](")).replace("[demo](demo/)", "demo")
    programs = (ROOT / "examples" / f"{name}.py" for name in re.findall(r"\]\(#(\w+)\)", text))
    return text + "".join(f"\n## {path.stem}\n\n```python\n{path.read_text('utf-8')}```\n" for path in programs)


def _settings() -> str:
    """Every setting with its default, and what the line says of it."""
    lines = (ROOT / "sanicish" / "config.py").read_text("utf-8").partition("\nDEFAULTS")[2].partition("\n}")[0]
    rows = re.findall(r'^    "([A-Z_]+)": (.+?),(?:  # (.*))?$', lines, re.MULTILINE)
    table = [f"| `{name}` | `{default}` | {told} |" for name, default, told in rows]
    return "\n".join(["| setting | default | |", "|---|---|---|", *table])


def _command() -> str:
    """What the command says of itself."""
    parts = []
    for words in ([], ["port"]):
        told = subprocess.run(
            [sys.executable, "-m", "sanicish", *words, "--help"],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "96"},
        )
        parts.append(f"```text\n$ {' '.join(['sanicish', *words, '--help'])}\n{told.stdout}```")
    return "\n\n".join(parts)


def _without_folders(text: str, folder: Path) -> str:
    """A folder of the repository is no page: its name stays, the link goes."""
    return re.sub(
        r"\[([^\[\]]+)\]\(([./\w-]+)\)", lambda link: link[1] if (folder / link[2]).is_dir() else link[0], text
    )


def _source(app: Any, docname: str, source: list[str]) -> None:
    """Bring in what stands in the root, and let its links lead to where it stands in the book."""
    if docname in OF_ROOT:
        source[0] = re.sub(r"\]\(docs/", "](", (ROOT / OF_ROOT[docname]).read_text("utf-8"))
    for page, file in OF_ROOT.items():
        source[0] = re.sub(rf"\]\(((?:\.\./)*){re.escape(file)}", rf"](/{page}.md", source[0])
    if docname == "examples":
        source[0] = _examples(source[0])
    source[0] = source[0].replace("<!-- settings -->", _settings()) if docname == "reference/settings" else source[0]
    source[0] = source[0].replace("<!-- command -->", _command()) if docname == "reference/command" else source[0]
    source[0] = _without_folders(source[0], (DOCS / docname).parent)
    if docname == "index":
        source[0] += _contents()


def _made_anew(app: Any, env: Any, added: Any, changed: Any, removed: Any) -> set[str]:
    """The pages that are made of more than their own file."""
    return {"index", "reference/settings", "reference/command", *OF_ROOT} & env.found_docs


def _signature(app: Any, what: str, name: str, thing: Any, options: Any, given: str, returns: Any) -> Any:
    """An exception that is made like the one above it need not say how once more."""
    return ("", None) if what == "exception" and given and "__init__" not in vars(thing) else None


def _breakable(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Let long names break behind their signs, for narrow columns."""
    context["body"] = re.sub(
        r'(?<=<span class="pre">)[^<]{12,}',
        lambda name: re.sub(r"(?<=\w[_./(=])(?=\w)", "<wbr>", name[0]),
        context.get("body", ""),
    )


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("env-get-outdated", _made_anew)
    app.connect("source-read", _source)
    app.connect("autodoc-process-signature", _signature)
    app.connect("html-page-context", _breakable)
