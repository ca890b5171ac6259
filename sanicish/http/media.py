"""What a file is called on the wire: its media type, and the name under which it is saved."""

import mimetypes
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

__all__ = ["content_disposition", "guess_type"]

# So that a response does not depend on what the machine's own tables say.
_TYPES = {
    ".avif": "image/avif",
    ".br": "application/octet-stream",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".ndjson": "application/x-ndjson",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "text/xml",
    ".zst": "application/zstd",
}


@lru_cache(maxsize=1_024)
def guess_type(name: str) -> str:
    """The media type of a file name, with charset where it is text."""
    found = _TYPES.get(Path(name).suffix.lower())
    if found is None:
        found, encoding = mimetypes.guess_type(name)
        if found is None or encoding is not None:
            return "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def content_disposition(filename: str, disposition: str = "attachment") -> str:
    """The field that names a download, for any name (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    field = f'{disposition}; filename="{plain}"'
    return field if plain == filename else f"{field}; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
