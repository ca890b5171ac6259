"""Faults that are put into the product, one at a time, to see that the simulation finds them."""

from contextlib import contextmanager, suppress
from importlib import import_module

from sanicish.exchange import Outcome
from sanicish.http1.connection import Http1Connection
from sanicish.http1.exchange import Http1Exchange
from sanicish.response.completion import Completion
from sanicish.server.protocol import HttpProtocol
from sanicish.server.timeouts import ConnectionWatch
from sanicish.streams.flow import FlowControl
from sanicish.streams.incoming import RequestStream
from sanicish.wire import Phase

__all__ = ["PLANTS", "planted"]

PLANTS = {}
protocol, serve = (import_module(f"sanicish.server.{name}") for name in ("protocol", "serve"))


def plant(module, attribute):
    """A fault as what replaces an attribute, made of what it was."""

    def decorate(function):
        PLANTS[function.__name__.replace("_", "-")] = (module, attribute, function)
        return function

    return decorate


@contextmanager
def planted(name):
    """The product with one fault, as long as the context lasts; without a name as it is."""
    if name is None:
        yield
        return
    owner, attribute, make = PLANTS[name]
    before = getattr(owner, attribute)
    setattr(owner, attribute, make(before))
    try:
        yield
    finally:
        setattr(owner, attribute, before)


@plant(protocol, "send_file")
def leak_after_reset_in_sendfile(before):
    """A reset that sendfile meets after the peer's FIN closes nothing."""

    class Deaf:
        def __init__(self, transport):
            self._transport = transport

        def __getattr__(self, name):
            return getattr(self._transport, name)

        def abort(self):
            pass

    async def send_file(loop, transport, *rest):
        await before(loop, Deaf(transport), *rest)

    return send_file


@plant(serve, "_in_own_context")
def inherited_context(before):
    """A pipelined request runs in the context of the one before it."""
    return lambda loop: loop.create_task


@plant(Completion, "_end")
def on_complete_not_called(before):
    """Who waits for the end of a response is not called when the client has left."""

    def end(self, followed, exchange):
        if exchange.outcome is not Outcome.DISCONNECT:
            before(self, followed, exchange)

    return end


@plant(Http1Exchange, "has")
def shielded_is_never_disconnected(before):
    """A shielded handler is not told that its client has left."""
    return lambda self, notice: before(self, notice) and not (self.rules.shielded and notice == "disconnect")


@plant(ConnectionWatch, "look")
def no_timeout_when_closing(before):
    """A connection that closes may take as long as its client wants."""

    def look(self, wire, *rest):
        due = before(self, wire, *rest)
        return None if wire.phase is Phase.CLOSING else due

    return look


@plant(RequestStream, "_release")
def water_mark_off_by_one(before):
    """Reading goes on below the low mark, not at it."""

    def release(self):
        if self._discarding or self._size != self._high // 2:
            before(self)

    return release


@plant(FlowControl, "resume_writing")
def lost_wake_up(before):
    """Of two writers that wait for room, one is not woken."""

    def resume_writing(self):
        if self._waiters is not None and len(self._waiters) > 1:
            self._waiters.pop()
        before(self)

    return resume_writing


@plant(HttpProtocol, "drain")
def drain_that_cuts(before):
    """Who is being answered when the server stops is cut."""

    def drain(self, stopping=False):
        before(self, stopping)
        self.cancel("shutdown")

    return drain


@plant(Http1Exchange, "abort")
def chunk_terminator_after_an_error(before):
    """A response that failed ends as if it were whole."""

    def abort(self, outcome=Outcome.FAILED):
        if self.outcome is None and self._framing is not None and not self._flow.lost:
            with suppress(Exception):
                self._framing.end(self._out, b"")
        before(self, outcome)

    return abort


@plant(RequestStream, "leave")
def hold_that_stays(before):
    """A large body that nobody read holds the next request: a fault that the simulation found (2026-11-27)."""
    return lambda self: None


@plant(Http1Connection, "_go_on")
def answers_without_end(before):
    """Requests that are pipelined are answered whether or not the client reads: found by the simulation too."""

    def go_on(self):
        paused, self.flow.paused = self.flow.paused, False
        before(self)
        self.flow.paused = paused

    return go_on
