"""Files and directories under a path, and nothing outside of them."""

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from sanicish.compression.accepting import choose_encoding
from sanicish.definitions import RouteDef, StaticDef
from sanicish.exceptions import FileNotFound
from sanicish.files import guess_type
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse, file
from sanicish.router import FILE_PARAMETER

__all__ = ["StaticFiles", "static_routes"]


_SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}


class StaticFiles:
    """A handler that sends a file, or the one below a directory that the path names.

    A path that leaves the directory, by dots, by an absolute name or by a symbolic link, is 404 like one that does
    not exist.
    """

    __name__ = "static"

    def __init__(self, definition: StaticDef) -> None:
        self._root = definition.path.resolve()
        self._said = definition
        self._pattern = re.compile(definition.pattern)

    async def __call__(self, request: Request, **values: str) -> HTTPResponse | StreamingHTTPResponse:
        name = values.get(FILE_PARAMETER)
        path = self._root if name is None else self._inside(unquote(name))
        if self._said.index and path.is_dir():
            path = self._index_of(path)
        said = self._said
        headers: dict[str, str] = {}
        media_type = said.content_type
        if said.precompressed:
            headers["Vary"] = "Accept-Encoding"
            encoding = self._encoding(path, request.headers.get("accept-encoding", ""))
            if encoding is not None:
                headers["Content-Encoding"] = encoding
                media_type = media_type or guess_type(path.name)
                path = path.with_name(path.name + _SUFFIXES[encoding])
        response = await file(
            path,
            mime_type=media_type,
            headers=headers,
            validate_when_requested=said.use_modified_since,
            max_age=said.max_age,
        )
        if not said.use_modified_since:
            for name in ("ETag", "Last-Modified"):
                response.headers.pop(name, None)
        return response

    def _encoding(self, path: Path, accepted: str) -> str | None:
        """What the client wants most of the encodings that the file lies there in, no older than itself."""
        offered = tuple(_SUFFIXES)
        while (encoding := choose_encoding(accepted, offered)) is not None:
            packed = path.with_name(path.name + _SUFFIXES[encoding])
            try:
                if self._checked(packed).stat().st_mtime >= path.stat().st_mtime:
                    break
            except (OSError, FileNotFound):
                pass
            offered = tuple(one for one in offered if one != encoding)
        return encoding

    def _inside(self, name: str) -> Path:
        if "\0" in name or "\\" in name or name.startswith("/"):
            raise _no_file(name)
        if not (self._pattern.fullmatch(name) or self._pattern.fullmatch("/" + name)):
            raise _no_file(name)
        if os.path.normpath(name).startswith(".."):  # out and in again would tell what the directory is called
            raise _no_file(name)
        path = self._checked(self._root / name)
        if name.endswith("/") and not path.is_dir():
            raise _no_file(name)
        return path

    def _index_of(self, directory: Path) -> Path:
        for name in self._said.index:
            path = self._checked(directory / name)
            if path.is_file():
                return path
        raise _no_file(directory.name)

    def _checked(self, path: Path) -> Path:
        """The file itself; raises ``FileNotFound`` if it lies outside, unless links out may be followed."""
        try:
            real = path.resolve()
            if real.is_relative_to(self._root):
                return real
            by_directory = real.is_dir() or not path.parent.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):  # a name too long, a link that leads to itself
            raise _no_file(path.name) from None
        said = self._said
        followed = said.follow_external_symlink_dirs if by_directory else said.follow_external_symlink_files
        if not followed or ".." in path.parts:
            raise _no_file(path.name)
        return real


def _no_file(name: str) -> FileNotFound:
    return FileNotFound("File not found", relative_url=name)


def static_routes(definition: StaticDef) -> list[RouteDef]:
    """The routes of a file, or of a directory and all below it."""
    handler = StaticFiles(definition)
    whole = RouteDef(
        handler,
        definition.uri,
        frozenset({"GET", "HEAD"}),
        definition.name,
        definition.host,
        definition.strict_slashes,
        version=definition.version,
        version_prefix=definition.version_prefix,
    )
    if definition.path.is_file():
        return [whole]
    below = replace(whole, uri=f"{definition.uri.rstrip('/')}/<{FILE_PARAMETER}:path>")
    return [below, replace(whole, name=f"{definition.name}_index")] if definition.index else [below]
