"""The PROXY protocol, versions 1 and 2: who the client of a TCP proxy is, in bytes before all others.

Bytes in, addresses out (haproxy.org, The PROXY protocol, sections 2.1 and 2.2); it knows no socket, and not whom to believe.
"""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

__all__ = ["BadPreamble", "Preamble", "PreambleParser"]

_V1, _LONGEST_V1 = b"PROXY ", 107
_V1_LINE = re.compile(rb"PROXY (TCP4|TCP6) (\S+) (\S+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_V2, _V2_HEAD = b"\r\n\r\n\0\r\nQUIT\n", 16
_LOCAL, _PROXY = 0, 1
_FAMILIES = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}
_UNSPECIFIED, _UNIX, _UNIX_PATH = 0, 3, 108

Address = tuple[str, int] | str


class BadPreamble(Exception):
    """These bytes are no preamble: whoever sent them does not speak the PROXY protocol."""


class Preamble(NamedTuple):
    """The client's address and the one it connected to; ``None`` where the proxy speaks for itself or cannot tell."""

    source: Address | None = None
    destination: Address | None = None


class PreambleParser:
    """Takes bytes as they come; ``found`` is set when the preamble is complete."""

    def __init__(self) -> None:
        self.found: Preamble | None = None
        self._held = b""

    def feed(self, data: bytes) -> int:
        """Take what belongs to the preamble, and say how many bytes that is; raises ``BadPreamble``."""
        before = len(self._held)
        held = self._held + data
        size = _size(held)
        if size is None or size > len(held):
            self._held = held
            return len(data)
        self._held = b""
        self.found = _version_2(held[:size]) if held.startswith(_V2) else _version_1(held[:size])
        return size - before


def _size(held: bytes) -> int | None:
    """The size of the preamble that begins so, ``None`` if that cannot be known yet."""
    if held[: len(_V2)] == _V2[: len(held)]:
        if len(held) < _V2_HEAD:
            return None
        return _V2_HEAD + int.from_bytes(held[14:16])
    if held[: len(_V1)] != _V1[: len(held)]:
        raise BadPreamble("no PROXY preamble")
    end = held.find(b"\r\n", 0, _LONGEST_V1)
    if end < 0:
        if len(held) >= _LONGEST_V1:
            raise BadPreamble("the PROXY line is too long")
        return None
    return end + 2


def _version_1(line: bytes) -> Preamble:
    if re.match(rb"PROXY UNKNOWN[ \r]", line):
        return Preamble()
    match = _V1_LINE.fullmatch(line)
    if match is None:
        raise BadPreamble("a PROXY line that cannot be read")
    kind, *hosts, source, destination = match.groups()
    ports = int(source), int(destination)
    try:
        addresses = [ip_address(host.decode("ascii")) for host in hosts]
    except ValueError:
        raise BadPreamble("a PROXY line with something that is no address") from None
    wanted = IPv4Address if kind == b"TCP4" else IPv6Address
    if max(ports) > 65_535 or not all(isinstance(one, wanted) for one in addresses):
        raise BadPreamble("a PROXY line with an address that does not fit")
    return Preamble((str(addresses[0]), ports[0]), (str(addresses[1]), ports[1]))


def _version_2(data: bytes) -> Preamble:
    version, command = divmod(data[12], 16)
    family, transport = divmod(data[13], 16)
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise BadPreamble("a PROXY preamble of another version or command")
    if command == _LOCAL:  # the proxy asks for itself, as in a health check; what follows is to be ignored
        return Preamble()
    if transport > 2 or family > _UNIX:
        raise BadPreamble("a PROXY preamble of a family that does not exist")
    if family == _UNSPECIFIED or transport == 0:
        return Preamble()
    rest = data[_V2_HEAD:]
    if family == _UNIX:
        if len(rest) < 2 * _UNIX_PATH:
            raise BadPreamble("a PROXY preamble that is too short for its addresses")
        return Preamble(_path(rest[:_UNIX_PATH]), _path(rest[_UNIX_PATH : 2 * _UNIX_PATH]))
    kind, width = _FAMILIES[family]
    if len(rest) < 2 * width + 4:
        raise BadPreamble("a PROXY preamble that is too short for its addresses")
    hosts = [socket.inet_ntop(kind, rest[start : start + width]) for start in (0, width)]
    ports = [int.from_bytes(rest[start : start + 2]) for start in (2 * width, 2 * width + 2)]
    return Preamble((hosts[0], ports[0]), (hosts[1], ports[1]))


def _path(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
