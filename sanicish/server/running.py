"""Worker processes behind one socket, from the first to the last: what ``run(workers=...)`` does."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from sanicish.config import Config
from sanicish.log import logger
from sanicish.server.serve import listening, unix_socket
from sanicish.server.supervisor import supervise

__all__ = ["run_workers", "worker_count"]


class Supervised(Protocol):
    """What is needed of an application whose workers are other processes."""

    name: str
    config: Config

    def run_in_main_process(self, event: str, /) -> None: ...


def run_workers(app: Supervised, count: int, listen: Mapping[str, Any], motd: bool) -> None:
    """Listen, and keep so many workers until told to stop.

    Raises ``OSError`` when the address cannot be had, ``SystemExit`` when no worker starts.
    """
    unix, sock = listen["unix"], listen["sock"]
    if sock is None:
        backlog = listen["backlog"]
        sock = unix_socket(unix, backlog) if unix else listening(listen["host"], listen["port"], backlog)
    name = sock.getsockname()
    if isinstance(name, str):
        url = f"unix:{unix or name}"
    else:
        url = f"{'https' if listen['ssl'] else 'http'}://{f'[{name[0]}]' if ':' in name[0] else name[0]}:{name[1]}"

    def serving() -> None:
        if motd:
            logger.info("%s on %s (%d workers, pid %d, Ctrl-C stops)", app.name, url, count, os.getpid())

    # A worker ends by itself within its grace and what handlers may take to end; then it hangs.
    patience = app.config["GRACEFUL_SHUTDOWN_TIMEOUT"] + app.config["STREAM_CLEANUP_TIMEOUT"] + 5
    app.run_in_main_process("main_process_start")
    try:
        code = supervise(sock, count, patience, serving)
    finally:
        sock.close()
        if unix:
            with suppress(FileNotFoundError):
                os.unlink(unix)
        app.run_in_main_process("main_process_stop")
    if code:
        raise SystemExit(code)


def worker_count(workers: int | str) -> int:
    """How many workers; ``auto`` is one for each processor."""
    if workers == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(workers))
