"""Files and directories under a path, and nothing outside of them."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sanicish.debug.backtracking import warn_of_pattern
from sanicish.exceptions import FileNotFound, Forbidden, URLBuildError
from sanicish.http.media import guess_type
from sanicish.http.negotiation import choose_encoding
from sanicish.registration.definitions import RouteDef, StaticDef
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse, redirect
from sanicish.response.files import OpenFile, file_response
from sanicish.router import FILE_PARAMETER
from sanicish.streams.files import IsDirectory, IsLink, open_file

__all__ = ["StaticFiles", "static_routes"]


_SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

# A path that another path stands for too: empty and dot segments, escaped slashes, escapes of characters that need none
# (RFC 3986 6.2.2).
_UNNEEDED = re.compile(r"%(2[DEF]|3\d|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)
_DETOUR = re.compile(rf"//|/\.\.?(?:/|\Z)|{_UNNEEDED.pattern}", re.IGNORECASE)


class StaticFiles:
    """A handler that sends a file, or the one below a directory that the path names.

    A path that leaves the directory, by dots, by an absolute name or by a symbolic link, is 404 like one that does
    not exist. One that names a file in a roundabout way is redirected to the file's own path.
    """

    __name__ = "static"

    def __init__(self, definition: StaticDef) -> None:
        self._root = definition.path.resolve()
        self._file = definition.path.absolute() if definition.path.is_file() else None
        self._said = definition
        self._pattern = re.compile(definition.pattern)
        warn_of_pattern(definition.pattern, f"the pattern {definition.pattern} of static files at {definition.uri}")

    async def __call__(self, request: Request, **values: Any) -> HTTPResponse | StreamingHTTPResponse:
        if self._file is not None:
            return await self._respond(request, self._file, OpenFile(*await open_file(self._file)))
        name = values.get(FILE_PARAMETER, "")
        if _DETOUR.search(request.head.path) and (clean := _clean_path(request, values, name)) is not None:
            return _redirect(request, clean)
        path = self._root / self._checked(unquote(name))
        slash = name.endswith("/") if name else request.path.endswith("/")
        refusal: FileNotFound | Forbidden = _no_file(name)
        if not slash:
            try:
                return await self._respond(request, path, await self._open(path))
            except (IsDirectory, Forbidden) as error:  # a directory that may only be entered cannot be opened
                refusal = error
        index = await self._index_of(path)
        if index is None:
            raise refusal
        if slash:
            return await self._respond(request, *index)
        index[1].close()
        return _redirect(request, f"{request.path}/")  # relative links on the page of a directory start from there

    async def _respond(self, request: Request, path: Path, opened: OpenFile) -> HTTPResponse | StreamingHTTPResponse:
        said = self._said
        headers: dict[str, str] = {}
        media_type = said.content_type or guess_type(path.name)
        if said.precompressed:
            headers["Vary"] = "Accept-Encoding"
            packed = await self._packed(path, opened, request.headers.get("accept-encoding", ""))
            if packed is not None:
                opened.close()
                headers["Content-Encoding"], opened = packed
        return await file_response(
            opened, media_type, headers, validators=said.use_modified_since, max_age=said.max_age
        )

    async def _packed(self, path: Path, plain: OpenFile, accepted: str) -> tuple[str, OpenFile] | None:
        """The encoding that the client prefers among the files beside this one that are no older, and that file."""
        offered = tuple(_SUFFIXES)
        while (encoding := choose_encoding(accepted, offered)) is not None:
            try:
                packed = await self._open(path.with_name(path.name + _SUFFIXES[encoding]))
                if packed.status.st_mtime >= plain.status.st_mtime:
                    return encoding, packed
                packed.close()
            except (OSError, FileNotFound, Forbidden):
                pass
            offered = tuple(one for one in offered if one != encoding)
        return None

    def _checked(self, name: str) -> str:
        """The name of a file below the directory; raises ``FileNotFound`` for what cannot be one."""
        if "\0" in name or "\\" in name or name.startswith("/"):
            raise _no_file(name)
        if name and not (self._pattern.fullmatch(name) or self._pattern.fullmatch("/" + name)):
            raise _no_file(name)
        parts = name.split("/")
        if ".." in parts or not (self._said.dotfiles or all(map(_is_visible, parts))):
            raise _no_file(name)
        return name

    async def _open(self, path: Path) -> OpenFile:
        """A file below the directory, opened; a symbolic link counts as the file that it leads to.

        No link can be put into the path between the check and the opening: the path that was checked is opened without
        following any. Raises ``FileNotFound`` if it leads out, unless such links may be followed.
        """
        try:
            return OpenFile(*await open_file(path, links=False))
        except IsLink:
            real = await asyncio.to_thread(self._followed, path)
            return OpenFile(*await open_file(real, links=False))

    def _followed(self, path: Path) -> Path:
        """The file that symbolic links lead to; raises ``FileNotFound`` if they lead where they may not."""
        try:
            real = path.resolve()
            if real.is_relative_to(self._root):
                return real
            by_directory = real.is_dir() or not path.parent.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):  # a name too long, a link that leads to itself
            raise _no_file(path.name) from None
        said = self._said
        if not (said.follow_external_symlink_dirs if by_directory else said.follow_external_symlink_files):
            raise _no_file(path.name)
        return real

    async def _index_of(self, directory: Path) -> tuple[Path, OpenFile] | None:
        """The file that stands for a directory, opened."""
        for name in self._said.index:
            try:
                return directory / name, await self._open(directory / name)
            except FileNotFound:
                pass
        return None


def _is_visible(part: str) -> bool:
    """Whether a part of a path is not hidden; ``.well-known`` is for the public (RFC 8615)."""
    return not part.startswith(".") or part == ".well-known"


def _clean_path(request: Request, values: dict[str, Any], name: str) -> str | None:
    """The path of a file for a request that named it in a roundabout way; ``None`` if it did not."""
    parts: list[str] = []
    plain = unquote(name)
    if plain.startswith("/"):
        raise _no_file(name)
    for part in plain.split("/"):
        if part == ".." and not parts:  # out and in again would reveal the name of the directory
            raise _no_file(name)
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if parts and plain.endswith(("/", "/.", "/..")):
        parts.append("")
    route = request.route
    assert route is not None  # it led here
    try:
        clean = route.build({**values, FILE_PARAMETER: "/".join(parts)})
    except URLBuildError:  # a line break in the name, or nothing left of it
        raise _no_file(name) from None
    return None if clean == request.head.path else clean


def _redirect(request: Request, path: str) -> HTTPResponse:
    """Redirect to another path of the application, with the query.

    The reference is relative: a proxy may have taken off a prefix, or another application mounts this one.
    """
    outer: list[str] = []
    for part in request.head.path.split("/")[1:-1]:
        if part == "..":
            outer = outer[:-1]
        elif part != ".":
            outer.append(part)
    reference = ("../" * len(outer) or "./") + path[1:]
    return redirect(f"{reference}?{request.query_string}" if request.query_string else reference, status=301)


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
    if not definition.index:
        return [below]
    # With and without its slash, which the handler tells apart.
    return [below, replace(whole, name=f"{definition.name}_index", strict_slashes=False)]
