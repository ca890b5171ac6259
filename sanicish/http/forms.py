"""What a form says: urlencoded or multipart, read from a body that is complete."""

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from sanicish.exceptions import BadRequest, PayloadTooLarge, SanicException
from sanicish.streams.multipart import check_segment, names_of, refusal

__all__ = ["File", "FirstValues", "RequestParameters", "by_name", "check_parsed", "parse_form", "parse_query"]

T = TypeVar("T")

_MAX_PARTS = 1_000
_MAX_PART_HEADER = 8_192

# What forms are sent in. The names are not looked up among Python's codecs, for the client chooses them: some are no
# text, some take quadratic time, and every unknown one that is looked up stays in memory.
_CHARSETS = re.compile(
    r"utf-?(8|16)|(us-)?ascii|iso-8859-([1-9]|1[0-6])|latin-?1|windows-125[0-8]|cp125[0-8]|koi8-[ru]"
    r"|shift[_-]jis|euc-(jp|kr)|iso-2022-(jp|kr)|gb2312|gbk|gb18030|big5",
    re.ASCII | re.IGNORECASE,
)


class File(NamedTuple):
    """An uploaded file, whole: its media type, its bytes and the name the client gave it."""

    type: str
    body: bytes
    name: str

    @property
    def filename(self) -> str:
        """``name``, as Flask and Quart call it."""
        return self.name

    @property
    def content_type(self) -> str:
        """``type``, as Flask and Quart call it."""
        return self.type

    def read(self) -> bytes:
        """All of its bytes, each time (Flask and Quart)."""
        return self.body


class RequestParameters(dict[str, list[T]], Generic[T]):
    """Names with one or more values: ``get`` is the first value, ``getlist`` all of them; an item is the list."""

    def get(self, name: str, default: Any = None) -> Any:
        """The first value of this name."""
        values = super().get(name)
        return values[0] if values else default

    def getlist(self, name: str, default: Any = None) -> Any:
        """All values of this name."""
        return super().get(name, default)


class MissingParameter(BadRequest, KeyError):
    """A parameter that was asked for by name is not in the request."""

    __str__ = BadRequest.__str__


class FirstValues(Mapping[str, T], Generic[T]):
    """The same parameters as Flask and Quart show them: an item is the first value; a missing one is a 400."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: RequestParameters[T]) -> None:
        self._parameters = parameters

    def get(self, name: str, default: Any = None, type: Callable[[T], Any] | None = None) -> Any:
        """The first value of this name, made by ``type``; ``default`` if it is missing or cannot be made."""
        values = self._parameters.getlist(name)
        try:
            return default if not values else values[0] if type is None else type(values[0])
        except (TypeError, ValueError):
            return default

    def getlist(self, name: str, default: Any = None) -> Any:
        """All values of this name; an empty list if there is none."""
        return self._parameters.getlist(name, [] if default is None else default)

    def __getitem__(self, name: str) -> T:
        try:
            return self._parameters[name][0]
        except (KeyError, IndexError):
            raise MissingParameter(f"the request lacks the parameter {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"FirstValues({dict(self)!r})"


def parse_query(
    text: str,
    keep_blank_values: bool = False,
    strict: bool = False,
    encoding: str = "utf-8",
    errors: str = "replace",
    max_fields: int = _MAX_PARTS,
) -> list[tuple[str, str]]:
    """Name and value of each pair of a query string; raises ``BadRequest`` if it is strict and the text is not."""
    if not text:
        return []
    if not (strict or "%" in text or "+" in text or text.count("&") >= max_fields):  # nothing to decode: most are so
        pairs = [pair.partition("=") for pair in text.split("&") if pair]
        return [(name, value) for name, _, value in pairs if value or keep_blank_values]
    try:
        return parse_qsl(text, keep_blank_values, strict, encoding, errors, max_num_fields=max_fields)
    except ValueError as error:
        raise BadRequest(f"the query or form cannot be read: {error}") from None


def by_name(pairs: list[tuple[str, str]]) -> RequestParameters[str]:
    """Pairs by their names, each with all its values in order."""
    found: RequestParameters[str] = RequestParameters()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def check_parsed(size: int, limit: int | None, setting: str, coding: str = "") -> None:
    """Refuse what is not to be parsed in memory: more than ``limit`` bytes (413), or a body with a content coding (415).

    A coding is refused because it hides the size; RFC 9110 section 15.5.16 asks for the field that names what is taken.
    """
    if coding.strip().lower() not in ("", "identity"):
        message = f"a body with Content-Encoding: {coding} is not parsed here"
        raise SanicException(message, 415, headers={"Accept-Encoding": "identity"})
    if limit is not None and size > limit:
        raise PayloadTooLarge(f"more than {limit} bytes to be parsed; {setting} is the limit")


def parse_form(
    content_type: str,
    body: bytes,
    max_parts: int = _MAX_PARTS,
    max_header: int = _MAX_PART_HEADER,
    max_size: int | None = None,
    coding: str = "",
) -> tuple[RequestParameters[str], RequestParameters[File]]:
    """The fields and files of a form; both empty if the body is none.

    ``max_size`` is in bytes, and does not count files. Raises ``BadRequest`` for a form that is broken or cut,
    ``PayloadTooLarge`` for one of too many or too large fields, and a 415 for one that is compressed.
    """
    form: RequestParameters[str] = RequestParameters()
    files: RequestParameters[File] = RequestParameters()
    kind, options = parse_options_header(content_type)
    if kind == "application/x-www-form-urlencoded":
        check_parsed(len(body), max_size, _SETTING, coding)
        if body.count(b"&") >= max_parts:
            raise PayloadTooLarge(f"the form has more than {max_parts} fields")
        for pair in body.split(b"&"):
            if pair:
                name, _, value = pair.replace(b"+", b" ").partition(b"=")
                form.setdefault(_decode_percent(name), []).append(_decode_percent(value))
    elif kind == "multipart/form-data":
        check_parsed(0, None, _SETTING, coding)
        _parse_multipart(options, body, form, files, max_parts, max_header, max_size)
    return form, files


_SETTING = "REQUEST_MAX_FORM_SIZE"
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def _decode_percent(data: bytes) -> str:
    """Text without its escapes.

    ``unquote`` makes an object of each escape, 80 times its size. Quoted-printable has the same escapes behind another
    sign, and is decoded in C. (Text is joined in less memory than bytes are.)
    """
    if b"%" in data:
        text = "%25".join(_NO_ESCAPE.split(data.decode("latin-1")))
        data = a2b_qp(text.replace("=", "=3D").replace("%", "=").encode("latin-1"))
    return data.decode("utf-8", "replace")


def _parse_multipart(
    options: Mapping[str, str],
    body: bytes,
    form: RequestParameters[str],
    files: RequestParameters[File],
    max_parts: int,
    max_header: int,
    max_size: int | None,
) -> None:
    boundary = options.get("boundary")
    if not boundary:
        raise BadRequest("a multipart form needs a boundary")
    pieces: list[bytes] = []
    name, filename = "", None
    segment: MultipartSegment | None = None
    size = 0  # of the fields
    try:
        parser = PushMultipartParser(
            boundary, max_segment_count=max_parts, max_header_size=max_header, max_segment_size=len(body)
        )
        for event in chain(parser.parse(body), parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                check_segment(event)
                segment, pieces = event, []
                name, filename = names_of(segment)
            elif event is not None:
                if filename is None:
                    size += len(event)
                    check_parsed(size, max_size, _SETTING)
                pieces.append(bytes(event))
            elif segment is not None:
                data = b"".join(pieces)
                if filename is None:
                    form.setdefault(name, []).append(_decode(data, segment.charset or "utf-8"))
                else:
                    media_type = segment.content_type or "application/octet-stream"
                    files.setdefault(name, []).append(File(media_type, data, filename))
    except MultipartError as error:
        raise refusal(error, "multipart form") from None


def _decode(data: bytes, charset: str) -> str:
    if _CHARSETS.fullmatch(charset) is not None:
        try:
            return data.decode(charset, "replace")
        except LookupError:  # iso-8859-12 was never made
            pass
    raise BadRequest(f"a form field is in the unknown charset {charset!r}")
