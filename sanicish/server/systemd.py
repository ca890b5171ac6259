"""What systemd passes to a service and is told by it: sockets, and that it is ready (sd_listen_fds(3), sd_notify(3))."""

import os
import socket
from contextlib import suppress

__all__ = ["notify", "passed_sockets"]

_FIRST = 3  # the descriptor of the first socket that is passed


def passed_sockets() -> list[socket.socket]:
    """The sockets that were passed to this very process; found once, so that children do not find them."""
    pid, count = os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    found = [socket.socket(fileno=descriptor) for descriptor in range(_FIRST, _FIRST + int(count))]
    for one in found:
        one.set_inheritable(False)
    return found


def notify(message: str) -> None:
    """Tell the service manager, if there is one that wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(f"\0{address[1:]}" if address[0] == "@" else address)
            sock.send(message.encode())
