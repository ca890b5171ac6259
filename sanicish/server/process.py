"""One process that serves an application: start, signals, and the graceful stop, alone or as a worker."""

import asyncio
import faulthandler
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from sanicish import life
from sanicish.log import error_logger, logger
from sanicish.log.places import Place, is_own
from sanicish.log.queue import flush as flush_log
from sanicish.server.heap import keep_freed_memory
from sanicish.server.interrupts import Interrupts
from sanicish.server.link import Link
from sanicish.server.serve import Application, Server, new_loop
from sanicish.server.systemd import notify

__all__ = ["serve"]

_CANCELLED = 1.5  # seconds for what was cancelled, once the server is forced to stop


def serve(
    app: Application,
    listen: Mapping[str, Any],
    *,
    register_sys_signals: bool = True,
    on_ready: Callable[[Server], None] | None = None,
    link: Link | None = None,
) -> None:
    """Run an application in this process until it is told to stop.

    ``listen`` goes to ``Server.start``; ``on_ready`` is called when connections are accepted. SIGINT and SIGTERM stop
    gracefully, SIGTERM after ``DRAIN_DELAY``, and give up a start that is not complete; a second one ends at once.
    SIGHUP reads the files of a certificate again. A worker has a ``link`` to its supervisor.
    """
    keep_freed_memory()
    runner = asyncio.Runner(loop_factory=new_loop(app.config))
    interrupts = None
    if link is not None:
        interrupts = Interrupts(runner.get_loop(), [signal.SIGTERM], link.is_abandoned, link.stacks)
    elif register_sys_signals:
        interrupts = Interrupts(runner.get_loop(), [signal.SIGINT, signal.SIGTERM])
    try:
        with interrupts or nullcontext(), runner:  # closing the runner may wait for threads
            runner.run(_serve(app, listen, on_ready, link, interrupts))
    finally:
        if interrupts is not None:
            faulthandler.cancel_dump_traceback_later()
        flush_log()


async def _serve(
    app: Application,
    listen: Mapping[str, Any],
    on_ready: Callable[[Server], None] | None,
    link: Link | None,
    interrupts: Interrupts | None,
) -> None:
    server = Server(app)
    context = copy_context()  # of all listeners, so that those of the stop see what those of the start have set

    def interrupt(number: signal.Signals) -> None:
        server.interrupt(drain=link is None and number == signal.SIGTERM)

    if link is not None:
        server.handler = link.with_max_requests(server.handler, app.config)
        link.attach(server, app.config)
    if interrupts is not None:
        interrupts.attach(interrupt)
        if link is None and isinstance(listen["ssl"], Mapping):
            server.loop.add_signal_handler(signal.SIGHUP, server.renew_certificate)

    async def accept() -> None:
        await server.start(**listen)
        if on_ready is not None:
            on_ready(server)

    async def start() -> None:
        await life.start(app, accept)
        server.started()
        if link is None:
            notify("READY=1")
        else:
            link.ready(server)

    def do(step: Coroutine[Any, Any, None]) -> Awaitable[bool]:
        return _until(server.forced, step, server, context)

    cancelled = None
    started = False
    try:
        started = await _until(server.interrupted, start(), server, context)
        if started:
            try:
                await server.asked.wait()
            except asyncio.CancelledError as error:  # Ctrl-C, where signals are not ours
                cancelled = error
            if link is None:
                notify("STOPPING=1")
        else:
            logger.info("stopped before the start was complete")
    finally:
        await life.stop(app, server, started=started, do=do)
    if cancelled is not None:
        raise cancelled


async def _until(event: asyncio.Event, work: Coroutine[Any, Any, None], server: Server, context: Context) -> bool:
    """Do the work, or cancel it at an event; tells whether it was done.

    Work that goes on when it is cancelled is waited for until the server is forced to stop.
    """
    task = server.loop.create_task(work, context=context)
    try:
        await _first(task, event)
    finally:
        cancelled = task.cancel()
    if not cancelled:
        task.result()
        return True
    await _first(task, server.forced)
    if not task.done():
        await asyncio.wait({task}, timeout=_CANCELLED)
    if not task.done():
        error_logger.error("a listener goes on although it was cancelled: %s", _where(task) or task)
    elif not task.cancelled():
        task.result()
    return False


def _where(task: "asyncio.Task[None]") -> str:
    """The innermost place of the application's own code that a task waits in."""
    found = ""
    coroutine: Any = task.get_coro()
    while isinstance(coroutine, CoroutineType):
        frame = coroutine.cr_frame
        if frame is not None and is_own(frame.f_code.co_filename):
            found = str(Place.of(frame))
        coroutine = coroutine.cr_await
    return found


async def _first(task: "asyncio.Task[None]", event: asyncio.Event) -> None:
    """Wait for whichever comes first."""
    waiter = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
