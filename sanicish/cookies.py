"""Cookies in both directions (RFC 6265)."""

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from http.cookies import Morsel, SimpleCookie
from typing import Any

from sanicish.headers import check_field

__all__ = ["Cookie", "CookieJar", "parse_cookies"]

_ESCAPED = re.compile(r"\\([0-3][0-7][0-7]|.)")
_coder = SimpleCookie()


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if len(code) == 3 else code


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a ``Cookie`` header; of two with one name the first counts, as browsers send the closer one first."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not name or name in cookies:
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = _ESCAPED.sub(_unescape, value[1:-1])
        cookies[name] = value
    return cookies


class Cookie(Morsel[str]):
    """One cookie to set; its attributes (``path``, ``domain``, ``max-age``, ``expires``, ``secure``, ``httponly``,
    ``samesite``) are items. Raises ``ValueError`` for what could not be sent."""

    def __init__(self, name: str, value: object) -> None:
        super().__init__()
        text, coded = _coder.value_encode(str(value))
        check_field("Set-Cookie", coded)
        self.set(name, text, coded)
        self["path"] = "/"

    def __setitem__(self, name: str, value: Any) -> None:
        if name.lower() == "expires" and isinstance(value, datetime):
            value = format_datetime(value, usegmt=True) if value.tzinfo else value.strftime("%a, %d %b %Y %H:%M:%S GMT")
        if isinstance(value, str):
            check_field("Set-Cookie", value)
            if ";" in value:
                raise ValueError(f"a cookie attribute cannot hold a semicolon: {value!r}")
        super().__setitem__(name.replace("_", "-"), value)

    def encode(self) -> str:
        """The value of its ``Set-Cookie`` field."""
        return self.OutputString()


class CookieJar:
    """The cookies a response sets: ``jar["name"] = "value"``, then ``jar["name"]["max-age"] = 60``; ``del`` expires one."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._frozen = False

    def freeze(self) -> None:
        """Refuse every change from now on: the head has left."""
        self._frozen = True

    def _put(self, cookie: Cookie) -> Cookie:
        if self._frozen:
            raise RuntimeError("the head of this answer has left; its cookies cannot change any more")
        self._cookies[cookie.key, str(cookie["path"]), str(cookie["domain"])] = cookie
        return cookie

    def _find(self, name: str) -> Cookie | None:
        return next((cookie for cookie in self._cookies.values() if cookie.key == name), None)

    def __getitem__(self, name: str) -> Cookie:
        cookie = self._find(name)
        if cookie is None:
            raise KeyError(name)
        return cookie

    def __setitem__(self, name: str, value: object) -> None:
        for key in [key for key in self._cookies if key[0] == name]:
            del self._cookies[key]
        self._put(Cookie(name, value))

    def __delitem__(self, name: str) -> None:
        self.delete_cookie(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self._cookies.values())

    def __len__(self) -> int:
        return len(self._cookies)

    def get(self, name: str, default: Any = None) -> Any:
        """The cookie of this name."""
        return self._find(name) or default

    def add_cookie(
        self,
        key: str,
        value: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        max_age: int | None = None,
        expires: datetime | str | None = None,
        httponly: bool = False,
        samesite: str | None = "Lax",
    ) -> Cookie:
        """Set a cookie with all its attributes (Sanic 23's call and defaults); ``max_age`` is seconds."""
        cookie = Cookie(key, value)
        cookie["path"] = path
        if domain is not None:
            cookie["domain"] = domain
        if max_age is not None:
            cookie["max-age"] = str(int(max_age))
        if expires is not None:
            cookie["expires"] = expires
        if samesite is not None:
            cookie["samesite"] = samesite
        cookie["secure"] = secure
        cookie["httponly"] = httponly
        return self._put(cookie)

    def delete_cookie(self, key: str, *, path: str = "/", domain: str | None = None) -> Cookie:
        """Tell the client to forget a cookie."""
        cookie = Cookie(key, "")
        cookie["path"] = path
        if domain is not None:
            cookie["domain"] = domain
        cookie["max-age"] = "0"
        return self._put(cookie)
