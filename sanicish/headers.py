"""Header fields: ordered, case-insensitive, and never able to carry a line break (RFC 9110 section 5)."""

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from sanicish.exceptions import ResponseError
from sanicish.grammar import FIELD_VALUE, RECEIVED_VALUE, TOKEN

__all__ = [
    "NOT_FOR_TRAILERS",
    "Headers",
    "Trailers",
    "check_field",
    "is_field_name",
    "is_field_value",
    "promised_length",
    "split_tokens",
]

_NAME = re.compile(TOKEN)
_VALUE = re.compile(FIELD_VALUE)
_RECEIVED_VALUE = re.compile(RECEIVED_VALUE.encode())

# RFC 9110 6.5.1: fields about framing, routing, authentication or content are not for trailers.
_NAMES = """
authorization cache-control connection content-encoding content-length content-range content-type cookie expect
forwarded host keep-alive max-forwards pragma proxy-authenticate proxy-authorization range set-cookie te trailer
transfer-encoding upgrade www-authenticate x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip
"""
NOT_FOR_TRAILERS = frozenset(_NAMES.split())
# And of a response, those that say what to do with it: whoever gets it has to know that before its body.
_NOT_BEHIND_ANSWERS = NOT_FOR_TRAILERS | {"age", "date", "expires", "location", "retry-after", "vary"}

Fields = Mapping[str, Any] | Iterable[tuple[str, Any]]


def is_field_name(name: str) -> bool:
    """Whether ``name`` is a token (RFC 9110 section 5.6.2)."""
    return _NAME.fullmatch(name) is not None


def is_field_value(value: str) -> bool:
    """Whether ``value`` may stand in a field line (RFC 9110 section 5.5)."""
    return _VALUE.fullmatch(value) is not None


def check_field(name: str, value: object) -> str:
    """The value as text; ``ValueError`` if name or value could not be sent as they are."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(f"not a header name: {name!r}")
    text = value if type(value) is str else _text(value)
    if value is None or _VALUE.fullmatch(text) is None:
        raise ValueError(f"header {name} has a value that cannot be sent: {text!r}")
    return text.strip(" \t")


def _text(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # what it holds: an enum's own str() is its name
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def split_tokens(value: str) -> list[str]:
    """The lower-case members of a comma-separated list, empty ones left out (RFC 9110 5.6.1)."""
    return [token for part in value.split(",") if (token := part.strip(" \t").lower())]


class _Fields(ItemsView[str, str]):
    """Every name and value, a name as often as it stands in the message."""

    def __init__(self, fields: dict[str, list[tuple[str, str]]]) -> None:
        self._fields = fields

    def __len__(self) -> int:
        return sum(map(len, self._fields.values()))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for fields in self._fields.values():
            yield from fields

    def __contains__(self, item: object) -> bool:
        return item in tuple(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


class Headers(MutableMapping[str, str]):
    """Fields by name, in any case; a name may have several values.

    ``headers[name]`` is the first value, ``getall(name)`` all of them; setting replaces them,
    ``add`` puts one more. ``items()`` gives each name and value as it will be sent.
    """

    __slots__ = ("_fields", "_frozen", "_received")

    _check = staticmethod(check_field)
    _gone = "the head of this response has left; its headers cannot change any more"

    def __init__(self, fields: Fields | None = None) -> None:
        self._fields: dict[str, list[tuple[str, str]]] = {}
        self._frozen = False
        self._received = False  # from a peer: more may stand there than may be sent
        if type(fields) is Headers and not fields._received:  # checked already
            self._fields = {name: list(values) for name, values in fields._fields.items()}
        elif fields:
            self.extend(fields)

    @classmethod
    def from_raw(cls, fields: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Fields as a parser found them; already valid, so only decoded (latin-1, RFC 9110 5.5)."""
        self = cls()
        self._received = True
        store = self._fields
        for raw_name, raw_value in fields:
            name = raw_name.decode("latin-1")
            field = (name, raw_value.decode("latin-1"))
            try:
                store[name.lower()].append(field)
            except KeyError:
                store[name.lower()] = [field]
        return self

    @classmethod
    def from_bytes(cls, fields: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Fields that another application gives as bytes; they are sent as these bytes, beyond ASCII too.

        As text they are latin-1. Raises ``ValueError`` for a name or a value that cannot be sent.
        """
        self = cls()
        store = self._fields
        for raw_name, raw_value in fields:
            name, value = str(raw_name, "latin-1"), bytes(raw_value)
            if _NAME.fullmatch(name) is None:
                raise ValueError(f"not a header name: {raw_name!r}")
            if _RECEIVED_VALUE.fullmatch(value) is None:
                raise ValueError(f"header {name} has a value that cannot be sent: {value!r}")
            store.setdefault(name.lower(), []).append((name, value.strip(b" \t").decode("latin-1")))
        return self

    def freeze(self) -> None:
        """Refuse every change from now on: the head has left."""
        self._frozen = True

    def _writable(self) -> dict[str, list[tuple[str, str]]]:
        if self._frozen:
            raise RuntimeError(self._gone)
        return self._fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][0][1]

    def __setitem__(self, name: str, value: object) -> None:
        text = self._check(name, value)
        self._writable()[name.lower()] = [(name, text)]

    def __delitem__(self, name: str) -> None:
        del self._writable()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return (fields[0][0] for fields in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return {k: [v for _, v in f] for k, f in self._fields.items()} == {
                k: [v for _, v in f] for k, f in other._fields.items()
            }
        if isinstance(other, Mapping):
            return {k: f[0][1] for k, f in self._fields.items()} == {str(k).lower(): v for k, v in other.items()}
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def setdefault(self, name: str, default: object = "") -> str:
        """The first value of this name, which is ``default`` from now on if there was none."""
        fields = self._fields.get(name.lower())
        if fields is not None:
            return fields[0][1]
        text = self._check(name, default)
        self._writable()[name.lower()] = [(name, text)]
        return text

    def without(self, names: frozenset[str]) -> list[tuple[str, str]]:
        """Each name and value but for some names, given in lower case."""
        return [field for key, fields in self._fields.items() if key not in names for field in fields]

    def add(self, name: str, value: object) -> None:
        """Put one more field of this name beside those that are there."""
        text = self._check(name, value)
        self._writable().setdefault(name.lower(), []).append((name, text))

    def extend(self, fields: Fields) -> None:
        """Add many fields; a list or tuple as value gives one field for each member."""
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        for name, value in pairs:
            for one in value if isinstance(value, list | tuple) else (value,):
                self.add(name, one)

    def getone(self, name: str, default: Any = None) -> Any:
        """The first value of this name."""
        fields = self._fields.get(name.lower())
        return default if fields is None else fields[0][1]

    get = getone

    def getall(self, name: str, default: Any = None) -> Any:
        """All values of this name, in order; ``default``, or an empty list, if there is none."""
        fields = self._fields.get(name.lower())
        if fields is None:
            return [] if default is None else default
        return [value for _, value in fields]

    get_all = getlist = getall

    def items(self) -> ItemsView[str, str]:
        """Each name and value, as many times as they stand in the message."""
        return _Fields(self._fields)

    def copy(self) -> "Headers":
        """A changeable copy."""
        other = Headers()
        other._fields = {name: list(fields) for name, fields in self._fields.items()}
        other._received = self._received
        return other


def _check_trailer(name: str, value: object) -> str:
    text = check_field(name, value)
    if name.lower() in _NOT_BEHIND_ANSWERS:
        raise ValueError(f"{name} has to be known before the body; it cannot stand behind it")
    return text


class Trailers(Headers):
    """Fields that leave behind a body (RFC 9110 section 6.5); those that have to be known before it are refused.

    They are sent to clients that ask by ``TE: trailers`` (section 10.1.4); with ``always = True`` to all of HTTP/1.1.
    """

    __slots__ = ("always",)

    _check = staticmethod(_check_trailer)
    _gone = "this response has ended; its trailers cannot change any more"

    def __init__(self) -> None:
        super().__init__()
        self.always = False


def promised_length(headers: Headers | None) -> int | None:
    """The length the application promised; raises ``ResponseError`` if it is not one number.

    The framing is ours. A ``Transfer-Encoding`` of the application is taken for what it means, if it is chunked, and
    refused if it is a coding that nobody applied.
    """
    if not headers:
        return None
    if "transfer-encoding" in headers and split_tokens(", ".join(headers.getall("transfer-encoding"))) != ["chunked"]:
        raise ResponseError(f"not a transfer coding of this server: {headers['transfer-encoding']!r}")
    texts = headers.getall("content-length")
    if not texts:
        return None
    text = texts[0]
    if not (text.isascii() and text.isdigit() and len(text) < 20) or any(one != text for one in texts):
        raise ResponseError(f"Content-Length is not one number: {', '.join(texts)!r}")
    return int(text)
