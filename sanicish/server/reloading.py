"""Watches files, and has this process renew its workers when one changes; the extra ``reload``.

It knows nothing of what is in the files: that is found out by the worker that loads them.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

try:
    from watchfiles import DefaultFilter, PythonFilter, watch
except ModuleNotFoundError as error:
    raise ImportError("reloading needs watchfiles: pip install 'sanicish[reload]'") from error

from sanicish.log import logger

__all__ = ["renewing_on_change"]


@contextmanager
def renewing_on_change(directories: Sequence[str]) -> Iterator[None]:
    """Send SIGHUP to this process whenever something changes: any file of the directories, or Python below this one."""
    paths, wanted = (directories, DefaultFilter()) if directories else (["."], PythonFilter())
    done = threading.Event()

    def look() -> None:
        for changes in watch(*paths, watch_filter=wanted, stop_event=done, debounce=300, rust_timeout=500):
            names = sorted({os.path.relpath(path) for _, path in changes})
            logger.info("%s changed", ", ".join(names[:3]) + (" and more" if names[3:] else ""))
            os.kill(os.getpid(), signal.SIGHUP)

    for path in paths:
        if not Path(path).is_dir():
            raise NotADirectoryError(f"{path} is no directory")
    thread = threading.Thread(target=look, name="reload", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
