"""Reports that the process is out of file descriptors, which otherwise only its clients notice."""

import errno
import os
import resource
from collections.abc import Callable
from time import monotonic

from sanicish.log import error_logger

__all__ = ["EXHAUSTED", "Shortage"]

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AGAIN = 60.0  # seconds between two lines of the log
_LOOK = 0.5  # seconds between two looks


class Shortage:
    """Says it when it begins, and once a minute while it lasts."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._said = self._looked = -_AGAIN

    def look(self, connections: int) -> None:
        """Look whether a descriptor is left: uvloop resets the connections it cannot accept and tells nobody."""
        now = self._now()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno in EXHAUSTED:
                self.report(error, connections)

    def report(self, error: OSError, connections: int) -> None:
        """Accepting a connection, or this look, has failed."""
        now = self._now()
        if now - self._said < _AGAIN:
            return
        self._said = now
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        error_logger.error(
            "new connections are refused: %s, with %d connections open and a limit of %d descriptors; raise it"
            " (ulimit -n, LimitNOFILE), or set MAX_CONNECTIONS below it",
            (error.strerror or "no descriptor is left").lower(),
            connections,
            most,
        )
