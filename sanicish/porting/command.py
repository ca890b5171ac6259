"""``sanicish port PATH [--fix]``: the files, and what is printed about them."""

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, TextIO

from sanicish.porting.findings import Finding
from sanicish.porting.reader import fix, read

__all__ = ["main"]

_SKIPPED = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages"})


class _Report(NamedTuple):
    path: Path
    findings: list[Finding]
    edits: int  # that were made
    error: str | None = None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sanicish port",
        description="List what has to change in code that was written for Sanic, Flask or Quart.",
        epilog="It exits with 1 while something has to be changed, or if a file cannot be read or written, else with 0."
        " `look` is for places that run as they are, but act differently or better than before.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a Python file, or a folder of them")
    parser.add_argument("--fix", action="store_true", help="make the changes that are safe, and list the others")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default %(default)s")
    return parser


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files that were named, and those of the folders, each once; links that lead out of a folder are named."""
    seen: set[Path] = set()
    for path in paths:
        root = path.resolve()
        for found in [path] if path.is_file() else _inside(path):
            real = found.resolve()
            if found != path and not real.is_relative_to(root):
                print(f"{found}: passed over, it is a link that leads out of {path}", file=sys.stderr)
            elif real.is_file() and real not in seen:
                seen.add(real)
                yield found


def _inside(folder: Path) -> Iterator[Path]:
    for found in sorted(folder.rglob("*.py")):
        inner = found.relative_to(folder).parts[:-1]
        if not any(part in _SKIPPED or part.startswith(".") for part in inner):
            yield found


def _own(paths: list[Path]) -> set[str]:
    """The names of the modules that the folders hold: they are no other library's."""
    modules = {found for path in paths if path.is_dir() for found in path.rglob("*.py")}
    return {found.parent.name if found.stem == "__init__" else found.stem for found in modules}


def _port(path: Path, fixing: bool, own: set[str]) -> _Report:
    try:
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        text, made, findings = fix(text, own) if fixing else (text, 0, read(text, own))
    except (OSError, SyntaxError, ValueError) as error:  # ValueError: bytes that are no text
        return _Report(path, [], 0, f"cannot be read: {error}")
    if made:
        try:
            _replace(path.resolve(), text.encode(encoding))
        except OSError as error:
            return _Report(path, [], 0, f"cannot be written, and was left as it is: {error.strerror or error}")
    return _Report(path, findings, made)


def _replace(path: Path, data: bytes) -> None:
    """Give a file new content, whole or not at all: it is written beside the file, which then takes its place."""
    descriptor, draft = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
    try:
        with open(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(descriptor)
            shutil.copymode(path, draft)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _as_json(reports: list[_Report], out: TextIO) -> None:
    found = [
        {"path": str(report.path), "line": one["line"], "column": one["column"], "kind": finding.kind}
        | {name: one[name] for name in ("rule", "call", "advice")}
        for report in reports
        for finding in report.findings
        for one in (asdict(finding),)
    ]
    json.dump(found, out, indent=2)
    out.write("\n")


def _as_text(reports: list[_Report], fix: bool, out: TextIO) -> None:
    for report in reports:
        for finding in report.findings:
            print(f"{report.path}:{finding.line}: {finding.kind}: {finding.call}", file=out)
            print(f"    {finding.advice}", file=out)
    kinds = Counter(finding.kind for report in reports for finding in report.findings)
    files = "1 file" if len(reports) == 1 else f"{len(reports)} files"
    parts = [f"{files} read"]
    if fix:
        parts.append(f"{sum(report.edits for report in reports)} fixed")
    elif kinds["fix"]:
        parts.append(f"{kinds['fix']} to fix (--fix does it)")
    parts += [f"{kinds['change']} to change", f"{kinds['look']} to look at"]
    print(", ".join(parts), file=out)


def main(arguments: list[str]) -> int:
    """Run the command with what follows ``port``; gives 1 while something has to be changed or failed, else 0."""
    options = _parser().parse_args(arguments)
    missing = [path for path in options.paths if not path.exists()]
    if missing:
        print(f"sanicish port: there is no {missing[0]}", file=sys.stderr)
        return 2
    own = _own(options.paths)
    reports = [_port(file, options.fix, own) for file in _files(options.paths)]
    for report in reports:
        if report.error:
            print(f"{report.path}: {report.error}", file=sys.stderr)
    if options.format == "json":
        _as_json(reports, sys.stdout)
    else:
        _as_text(reports, options.fix, sys.stdout)
    return int(any(report.error or any(one.kind != "look" for one in report.findings) for report in reports))
