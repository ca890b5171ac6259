"""The encodings there are: gzip from the standard library, zstd and br where their packages are installed."""

import importlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Protocol

from sanicish.headers import split_tokens

__all__ = ["Coder", "MakeCoder", "coders", "named_encodings"]


class Coder(Protocol):
    """One stream of bytes that is compressed; ``flush`` gives all that a reader needs to read what was put in."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...

    def finish(self) -> bytes: ...


MakeCoder = Callable[[int | None], Coder]  # of the number of bytes that will arrive, if it is known

_ROOMS = {"zstd": "sanicish.compression.zstd", "br": "sanicish.compression.br"}
_LEVELS = {"zstd": 3, "br": 4, "gzip": 4}  # about a millisecond for 64 KiB that are hard to compress, or less


class _Gzip:
    """RFC 1952."""

    __slots__ = ("_stream", "compress")

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, 31)
        self.compress = self._stream.compress

    def flush(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


def _gzip(level: int) -> MakeCoder:
    return lambda size: _Gzip(level)


def _room(name: str) -> ModuleType:
    """The room of an encoding that is an extra; raises ``ImportError`` with the line that installs it."""
    try:
        return importlib.import_module(_ROOMS[name])
    except ModuleNotFoundError as error:
        raise ImportError(f"compression by {name} needs a package: pip install 'sanicish[{name}]'") from error


def coders(names: Iterable[str], levels: Mapping[str, int]) -> dict[str, MakeCoder]:
    """What makes a coder, by the names of encodings; without names, those that are installed.

    Raises ``ValueError`` for an unknown name or a level that there is not, ``ImportError`` for what is not installed.
    """
    wanted = tuple(names)
    unknown = {*wanted, *levels} - set(_LEVELS)
    if unknown:
        raise ValueError(
            f"not an encoding that is known here: {', '.join(sorted(unknown))}; there are {', '.join(_LEVELS)}"
        )
    found: dict[str, MakeCoder] = {}
    for name in wanted or _LEVELS:
        level = levels.get(name, _LEVELS[name])
        try:
            found[name] = make = _gzip(level) if name == "gzip" else _room(name).maker(level)
            make(0).finish()
        except ImportError:
            if wanted:
                raise
        except Exception as error:  # each library has its own
            raise ValueError(f"{name} has no level {level}") from error
    return found


def named_encodings(setting: bool | str) -> list[str]:
    """The names that the setting ``COMPRESS`` holds; none for ``True``."""
    return split_tokens(setting) if isinstance(setting, str) else []
