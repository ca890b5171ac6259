"""What a form says: urlencoded or multipart, read from a body that is complete."""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from sanicish.exceptions import BadRequest, PayloadTooLarge

__all__ = ["File", "RequestParameters", "parse_form", "parse_query"]

T = TypeVar("T")

_MAX_PARTS = 1_000
_MAX_PART_HEADER = 8_192


class File(NamedTuple):
    """An uploaded file, whole: its media type, its bytes and the name the client gave it."""

    type: str
    body: bytes
    name: str


class RequestParameters(dict[str, list[T]], Generic[T]):
    """Names with one or more values: ``get`` is the first value, ``getlist`` all of them; an item is the list."""

    def get(self, name: str, default: Any = None) -> Any:
        """The first value of this name."""
        values = super().get(name)
        return values[0] if values else default

    def getlist(self, name: str, default: Any = None) -> Any:
        """All values of this name."""
        return super().get(name, default)


def parse_query(
    text: str, keep_blank_values: bool = False, strict: bool = False, encoding: str = "utf-8", errors: str = "replace"
) -> list[tuple[str, str]]:
    """Name and value of each pair of a query string; raises ``BadRequest`` if it is strict and the text is not."""
    try:
        return parse_qsl(text, keep_blank_values, strict, encoding, errors, max_num_fields=_MAX_PARTS)
    except ValueError as error:
        raise BadRequest(f"the query or form cannot be read: {error}") from None


def parse_form(content_type: str, body: bytes) -> tuple[RequestParameters[str], RequestParameters[File]]:
    """The fields and files of a form; both empty if the body is none.

    Raises ``BadRequest`` for a form that is broken or cut.
    """
    form: RequestParameters[str] = RequestParameters()
    files: RequestParameters[File] = RequestParameters()
    kind, options = parse_options_header(content_type)
    if kind == "application/x-www-form-urlencoded":
        for name, value in parse_query(body.decode("utf-8", "replace"), keep_blank_values=True):
            form.setdefault(name, []).append(value)
    elif kind == "multipart/form-data":
        _parse_multipart(options, body, form, files)
    return form, files


def _parse_multipart(
    options: Mapping[str, str],
    body: bytes,
    form: RequestParameters[str],
    files: RequestParameters[File],
) -> None:
    boundary = options.get("boundary")
    if not boundary:
        raise BadRequest("a multipart form needs a boundary")
    segment: MultipartSegment | None = None
    pieces: list[bytes] = []
    try:
        parser = PushMultipartParser(
            boundary, max_segment_count=_MAX_PARTS, max_header_size=_MAX_PART_HEADER, max_segment_size=len(body)
        )
        for event in (*parser.parse(body), *parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                segment, pieces = event, []
            elif event is not None:
                pieces.append(bytes(event))
            elif segment is not None:
                _add_part(segment, b"".join(pieces), form, files)
    except MultipartError as error:
        refusal = PayloadTooLarge if error.http_status == 413 else BadRequest
        raise refusal(f"the multipart form cannot be read: {error}") from None


def _add_part(
    segment: MultipartSegment, data: bytes, form: RequestParameters[str], files: RequestParameters[File]
) -> None:
    name = segment.name or ""
    if segment.filename is not None:
        media_type = segment.content_type or "application/octet-stream"
        files.setdefault(name, []).append(File(media_type, data, segment.filename))
        return
    try:
        form.setdefault(name, []).append(data.decode(segment.charset or "utf-8", "replace"))
    except LookupError:
        raise BadRequest(f"the form field {name!r} names an unknown charset") from None
