"""Masks for what lets somebody in: values by their names, parts of URLs, and the credentials of the request itself."""

import re
import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

__all__ = ["Fields", "Mask"]

Fields = Iterable[tuple[str, str]]

_MASK = "\u2022" * 8
_SECRET = re.compile(
    r"authorization|credential|cookie|token|secret|passw|passphrase|passcode|pwd|session|csrf|xsrf|signature|jwt|bearer|dsn"
    r"|key$|api[-_]?key|private[-_]?key|(?:^|[-_.])(?:auth|pass|pin|otp|sig|sid)$",
    re.IGNORECASE,
)
# Every expression reads its text once: names and users have a length that they may not exceed.
_USER = re.compile(r"([a-z][a-z0-9+.-]{0,31}://)(?:([^\s/@:'\"<>]{0,256}):)?[^\s/'\"<>]{1,1024}@", re.IGNORECASE)
_QUERY = re.compile(r"([?&;])([\w.\[\]%-]{1,64})=([^\s&;'\"<>]+)")
_ASSIGNED = re.compile(r"(?<![\w.%-])([\w.\[\]%-]{1,64})[\"']?\s{0,8}[=:]\s{0,8}")
_VALUE = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s&;,'\"<>)\]}]+")
_LINE = re.compile(r"^([\w-]{1,64})(:[ \t]{0,8})([^\r\n]+)", re.MULTILINE)
_SCHEME = re.compile(r"(Basic|Bearer|Digest|Negotiate|Token) [^ ].*", re.IGNORECASE | re.DOTALL)
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")

_WINDOW = 32_768  # characters of a text that are looked at, at each end of it: no more than a few hundred are shown
_LEAST = 6  # characters of a credential that is looked for in all texts
_LEAST_COOKIE = 12  # and of a cookie: shorter ones are words such as "default"


def _is_secret(name: object) -> bool:
    """Whether a value of this name lets somebody in."""
    return _SECRET.search(name.decode("latin-1") if isinstance(name, bytes) else str(name)) is not None


class Mask:
    """Masks the secrets of one error page.

    ``fields`` are the headers of the request and ``line`` its method and target: credentials in them are masked wherever
    they appear again.
    """

    def __init__(self, fields: Fields = (), line: str = "") -> None:
        found = set(_credentials(fields, line))
        self._known = re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True)))) if found else None
        self._short = _Short(self)

    def fields(self, pairs: Fields) -> list[tuple[str, str]]:
        """Names and values, the values masked that the names call secret."""
        return [(name, _MASK if _is_secret(name) else self.text(value)) for name, value in pairs]

    def text(self, text: str) -> str:
        """Text of any kind, without the passwords and tokens of URLs and the credentials of the request."""
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        text = _USER.sub(lambda match: f"{match[1]}{match[2] + ':' if match[2] else ''}{_MASK}@", text)
        text = _QUERY.sub(lambda match: f"{match[1]}{match[2]}={_MASK}" if _is_secret(match[2]) else match[0], text)
        return _JWT.sub(_MASK, text)

    def data(self, text: str) -> str:
        """The text of a value: settings, header lines and JSON in it are masked by their names, too."""
        if _SCHEME.fullmatch(text):
            return _MASK
        text = _LINE.sub(lambda match: match[1] + match[2] + _MASK if _is_secret(match[1]) else match[0], text)
        return self.text(_without_values(text))

    def value(self, value: Any) -> str:
        """What a value looks like, cut where it is long."""
        return self._short.repr(value)


def _credentials(fields: Fields, line: str) -> Iterable[str]:
    """What the request lets itself in with."""
    for name, value in fields:
        if name.lower() == "cookie":
            cookies = (cookie.partition("=")[2].strip(' "') for cookie in value.split(";"))
            yield from (cookie for cookie in cookies if len(cookie) >= _LEAST_COOKIE)
        elif _is_secret(name):
            yield from (part for part in (value, value.partition(" ")[2]) if len(part) >= _LEAST)
    for pair in line.partition("?")[2].partition(" ")[0].split("&"):
        name, _, value = pair.partition("=")
        if _is_secret(unquote_plus(name)):
            yield from (part for part in (value, unquote_plus(value)) if len(part) >= _LEAST)


def _without_values(text: str) -> str:
    """Text like ``name=value`` or ``"name": value``, masked where the names are secret."""
    pieces, at = [], 0
    for found in _ASSIGNED.finditer(text):
        if found.start() >= at and _is_secret(found[1]) and (value := _VALUE.match(text, found.end())) is not None:
            pieces += [text[at : found.end()], _MASK]
            at = value.end()
    return "".join([*pieces, text[at:]])


class _Masked:
    """Stands for a value that lets somebody in."""

    def __repr__(self) -> str:
        return _MASK


class _Short(reprlib.Repr):
    """Values as one reads them: never all of what is large, and nothing that is secret by its name or its place."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200
        self.maxdict = self.maxlist = self.maxtuple = 12
        self._mask = mask

    def repr1(self, x: Any, level: int) -> str:
        """Every mapping is looked into, headers too, and every pair of a name and a value."""
        if isinstance(x, list | tuple) and len(x) == 2 and isinstance(x[0], str | bytes) and _is_secret(x[0]):
            x = [x[0], _Masked()] if isinstance(x, list) else (x[0], _Masked())
        if not isinstance(x, Mapping):
            return super().repr1(x, level)
        some = list(islice(x.items(), self.maxdict + 1))
        said = self.repr_dict({key: _Masked() if _is_secret(key) else value for key, value in some}, level)
        return said if type(x) is dict else f"{type(x).__name__}({said})"

    def repr_str(self, x: str, level: int) -> str:
        """Text is masked before it is cut, for a part of a secret is not known for one."""
        return super().repr_str(self._mask.data(_window(x)), level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Bytes are not all made text of before they are cut."""
        text = _window(x).decode("latin-1")
        masked = self._mask.data(text)
        said = repr(bytes(x[: self.maxstring])) if masked == text else f"b{masked[: self.maxstring]!r}"
        return said if len(x) <= self.maxstring else f"{said}... ({len(x)} bytes)"

    repr_bytearray = repr_bytes

    def repr_instance(self, x: Any, level: int) -> str:
        """Objects look as they say, masked as text is."""
        try:
            said = self._mask.data(_window(repr(x)))
        except Exception:
            return super().repr_instance(x, level)
        if len(said) <= self.maxother:
            return said
        ahead = max(0, (self.maxother - len(self.fillvalue)) // 2)
        return said[:ahead] + self.fillvalue + said[len(said) - (self.maxother - len(self.fillvalue) - ahead) :]


def _window(text: Any) -> Any:
    """Text or bytes, without the middle that is never shown."""
    return text if len(text) <= 2 * _WINDOW else text[:_WINDOW] + text[-_WINDOW:]
