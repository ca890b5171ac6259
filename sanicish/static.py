"""Files and directories under a path, and nothing outside of them."""

from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sanicish.exceptions import FileNotFound
from sanicish.files import stat_file
from sanicish.handlers import ContentRangeHandler
from sanicish.registry import RouteDef, StaticDef
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse, file

__all__ = ["StaticFiles", "static_routes"]


class StaticFiles:
    """A handler that sends a file, or the one below a directory that the path names.

    A path that leaves the directory, by dots, by an absolute name or by a symbolic link, is 404 like one that does
    not exist.
    """

    def __init__(self, root: Path, index: str | None = None, content_type: str | None = None) -> None:
        self.root = root.resolve()
        self.index = index
        self.content_type = content_type
        self.__name__ = "static"

    async def __call__(self, request: Request, __file_uri__: str | None = None) -> HTTPResponse | StreamingHTTPResponse:
        path = self.root if __file_uri__ is None else self._inside(unquote(__file_uri__))
        if self.index is not None and path.is_dir():
            path = path / self.index
        found = await stat_file(path)
        modified = formatdate(int(found.st_mtime), usegmt=True)
        headers: dict[str, Any] = {"Last-Modified": modified, "Accept-Ranges": "bytes"}
        if not _modified_since(request, found.st_mtime):
            return HTTPResponse(status=304, headers=headers)
        wanted = ContentRangeHandler(request, found) if _asks_range(request) else None
        return await file(path, mime_type=self.content_type, headers=headers, _range=wanted)

    def _inside(self, name: str) -> Path:
        if "\0" in name or "\\" in name or name.startswith("/"):
            raise FileNotFound("File not found", path=self.root, relative_url=name)
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise FileNotFound("File not found", path=self.root, relative_url=name)
        return path


def _modified_since(request: Request, modified: float) -> bool:
    text = request.headers.get("if-modified-since")
    if not text or request.method not in ("GET", "HEAD"):
        return True
    try:
        return int(modified) > parsedate_to_datetime(text).timestamp()
    except ValueError:
        return True


def _asks_range(request: Request) -> bool:
    return request.method == "GET" and request.headers.get("range", "").startswith("bytes=")


def static_routes(definition: StaticDef) -> list[RouteDef]:
    """The routes of a file, or of a directory and all below it."""
    options = definition.options
    handler = StaticFiles(definition.path, options.get("index"), options.get("content_type"))
    common: dict[str, Any] = {
        "methods": frozenset({"GET", "HEAD"}),
        "host": options.get("host"),
        "strict_slashes": options.get("strict_slashes"),
    }
    name = options.get("name", "static")
    if definition.path.is_file():
        return [RouteDef(handler, definition.uri, name=name, **common)]
    routes = [RouteDef(handler, f"{definition.uri.rstrip('/')}/<__file_uri__:path>", name=name, **common)]
    if handler.index is not None:
        routes.append(RouteDef(handler, definition.uri, name=f"{name}_index", **common))
    return routes
