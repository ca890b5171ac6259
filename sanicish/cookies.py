"""Cookies in both directions (RFC 6265)."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sanicish.headers import is_field_name, is_field_value
from sanicish.log import error_logger

__all__ = ["Cookie", "CookieJar", "RequestCookies", "parse_cookies"]

# What may stand in a value as it is: RFC 6265 4.1.1, cookie-octet.
_PLAIN = re.compile(r"[!#-+\--:<-\[\]-~]*")
_ESCAPED = re.compile(r"\\([0-3][0-7][0-7]|.)", re.DOTALL)
_QUOTED = {code: f"\\{code:03o}" for code in (*range(0x20), ord(","), ord(";"), *range(0x7F, 0x100))} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}

_ATTRIBUTES = {
    "path": "Path",
    "domain": "Domain",
    "max-age": "Max-Age",
    "expires": "Expires",
    "secure": "Secure",
    "httponly": "HttpOnly",
    "samesite": "SameSite",
    "partitioned": "Partitioned",
}
_FLAGS = frozenset({"secure", "httponly", "partitioned"})


def _quote(text: str) -> str:
    """A value as it is sent: what may not stand in a cookie is escaped, by the bytes of its UTF-8."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    return f'"{text.encode().decode("latin-1").translate(_QUOTED)}"'


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if len(code) == 3 else code


def _decode(text: str) -> str:
    """Fields are read as latin-1; what scripts put into cookies is UTF-8."""
    try:
        return text if text.isascii() else text.encode("latin-1").decode()
    except UnicodeError:
        return text


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a ``Cookie`` header; of two with one name the first counts, as browsers send the closer one first."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        # Blanks of HTTP only: what else strip() takes off would let a script forge the name of a __Host- cookie.
        name = _decode(name.strip(" \t"))
        if not equals or not name or name in cookies:
            continue
        value = value.strip(" \t")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = _ESCAPED.sub(_unescape, value[1:-1])
        cookies[name] = _decode(value)
    return cookies


class RequestCookies(dict[str, str]):
    """The cookies of a request, by name."""

    def getlist(self, name: str, default: Any = None) -> Any:
        """The value of this name, in a list."""
        return [self[name]] if name in self else default


def _late() -> RuntimeError:
    return RuntimeError("the head of this response has left; its cookies cannot change any more")


class Cookie(MutableMapping[str, Any]):
    """One cookie to set: ``key``, ``value``, and its attributes as items.

    ``path``, ``domain``, ``max-age`` (seconds), ``expires`` (a datetime, UTC if it names no zone, or text), ``secure``,
    ``httponly``, ``samesite``, ``partitioned``; ``None`` or False takes one away. Raises ``ValueError`` for what could
    not be sent, ``KeyError`` for an unknown attribute.
    """

    __slots__ = ("_attributes", "_coded", "_frozen", "_value", "key")

    def __init__(self, key: str, value: object) -> None:
        if not isinstance(key, str) or not is_field_name(key):
            raise ValueError(f"not the name of a cookie: {key!r}")
        self.key = key
        self._frozen = False
        self._attributes: dict[str, Any] = {"path": "/"}
        self.value = value

    @property
    def value(self) -> str:
        """The value, as it was given."""
        return self._value

    @value.setter
    def value(self, value: object) -> None:
        if self._frozen:
            raise _late()
        self._value = str(value)
        self._coded = _quote(self._value)

    def __getitem__(self, name: str) -> Any:
        return self._attributes[_attribute(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        if self._frozen:
            raise _late()
        name = _attribute(name)
        if value is None or value is False or (name in _FLAGS and not value):
            self._attributes.pop(name, None)
        else:
            self._attributes[name] = _check(name, value)

    def __delitem__(self, name: str) -> None:
        if self._frozen:
            raise _late()
        del self._attributes[_attribute(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __repr__(self) -> str:
        return f"<Cookie: {self.encode()}>"

    @property
    def flaw(self) -> str | None:
        """Why browsers drop this cookie, ``None`` if they keep it (RFC 6265bis 4.1.2.7 and 4.1.3; CHIPS)."""
        given = self._attributes
        name = self.key.lower()
        if "secure" not in given:
            if name.startswith(("__secure-", "__host-")):
                return "a name with this prefix needs Secure"
            if given.get("samesite") == "None":
                return "SameSite=None needs Secure"
            if "partitioned" in given:
                return "Partitioned needs Secure"
        if name.startswith("__host-"):
            if "domain" in given:
                return "a name that begins with __Host- may have no Domain"
            if given.get("path") != "/":
                return "a name that begins with __Host- needs Path=/"
        return None

    def freeze(self) -> None:
        """Refuse every change from now on: the head has left."""
        self._frozen = True

    def encode(self) -> str:
        """The value of its ``Set-Cookie`` field."""
        parts = [f"{self.key}={self._coded}"]
        for name, spelled in _ATTRIBUTES.items():
            if name in self._attributes:
                parts.append(spelled if name in _FLAGS else f"{spelled}={self._attributes[name]}")
        return "; ".join(parts)


def _attribute(name: str) -> str:
    name = name.lower().replace("_", "-")
    if name not in _ATTRIBUTES:
        raise KeyError(f"a cookie has no attribute {name!r}")
    return name


def _check(name: str, value: Any) -> Any:
    """An attribute as it is sent; raises ``ValueError`` or ``TypeError`` if it cannot be."""
    if name in _FLAGS:
        return True
    if name == "max-age":
        return str(int(value))
    if name == "samesite":
        if str(value).lower() not in ("strict", "lax", "none"):
            raise ValueError(f"samesite is Strict, Lax or None, not {value!r}")
        return str(value).capitalize()
    if name == "expires":
        if isinstance(value, datetime):
            value = format_datetime(value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC), usegmt=True)
        elif not isinstance(value, str):
            raise TypeError(f"expires is a datetime, not {type(value).__name__}")
    text = str(value)
    if ";" in text or not is_field_value(text):
        raise ValueError(f"a cookie cannot have the {name} {text!r}")
    return text


_MOST_WARNINGS = 100  # names of cookies that are made up as requests arrive shall not fill the log, nor the memory
_warned: set[str] = set()


def _warn(cookie: Cookie) -> None:
    """Log, once for each name, that browsers drop a cookie."""
    flaw = cookie.flaw
    if flaw is not None and cookie.key not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(cookie.key)
        error_logger.warning("browsers drop the cookie %s: %s", cookie.key, flaw)


class CookieJar(Mapping[str, Cookie]):
    """The cookies a response sets: ``jar["name"] = "value"``, then ``jar["name"]["max-age"] = 60``; ``del`` expires one.

    One name may be set for several paths and domains; ``cookies`` is all of them.
    """

    def __init__(self) -> None:
        self.cookies: list[Cookie] = []
        self._frozen = False

    def freeze(self) -> None:
        """Refuse every change from now on: the head has left."""
        self._frozen = True
        for cookie in self.cookies:
            cookie.freeze()

    def encoded(self) -> Iterator[str]:
        """The values of the ``Set-Cookie`` fields; a cookie that browsers drop is sent, and the log says so once."""
        for cookie in self.cookies:
            _warn(cookie)
            yield cookie.encode()

    def _put(self, cookie: Cookie) -> Cookie:
        if self._frozen:
            raise _late()
        place = _place(cookie)
        self.cookies = [other for other in self.cookies if _place(other) != place]
        self.cookies.append(cookie)
        return cookie

    def __getitem__(self, name: str) -> Cookie:
        for cookie in self.cookies:
            if cookie.key == name:
                return cookie
        raise KeyError(name)

    def __setitem__(self, name: str, value: object) -> None:
        if name in self:
            self[name].value = value
        else:
            self._put(Cookie(name, value))

    def __delitem__(self, name: str) -> None:
        self.delete_cookie(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.key for cookie in self.cookies))

    def __len__(self) -> int:
        return len({cookie.key for cookie in self.cookies})

    def add_cookie(
        self,
        key: str,
        value: object,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        max_age: int | None = None,
        expires: datetime | str | None = None,
        httponly: bool = False,
        samesite: str | None = "Lax",
        partitioned: bool = False,
    ) -> Cookie:
        """Set a cookie with all its attributes (Sanic 23's call and defaults); ``max_age`` is seconds.

        Raises ``ValueError`` for a cookie that browsers drop, such as one with ``samesite="None"`` that is not secure.
        """
        cookie = Cookie(key, value)
        cookie.update(
            path=path,
            domain=domain,
            secure=secure,
            max_age=max_age,
            expires=expires,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        if cookie.flaw is not None:
            raise ValueError(f"browsers drop the cookie {key}: {cookie.flaw}")
        return self._put(cookie)

    def delete_cookie(self, key: str, *, path: str = "/", domain: str | None = None) -> Cookie:
        """Tell the client to forget a cookie; path and domain must be those it was set with."""
        cookie = Cookie(key, "")
        cookie.update(path=path, domain=domain, max_age=0)
        # Browsers ignore a Set-Cookie of such a name that is not secure (RFC 6265bis 4.1.3).
        cookie["secure"] = key.lower().startswith(("__host-", "__secure-"))
        return self._put(cookie)


def _place(cookie: Cookie) -> tuple[str, Any, Any]:
    """What tells one cookie from another in a client (RFC 6265 5.3)."""
    return cookie.key, cookie.get("path"), cookie.get("domain")
