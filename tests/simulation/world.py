"""One world: loop, network, server and clients of one plan, run to the end and judged."""

import asyncio
import gc
import logging
from collections import Counter
from random import Random

from sanicish.exchange import Exchange
from sanicish.log import access_logger, error_logger, logger
from tests.simulation.application import the_app
from tests.simulation.client import Client
from tests.simulation.disk import Disk
from tests.simulation.invariants import check_end
from tests.simulation.kinds import Record
from tests.simulation.loop import LOOPS
from tests.simulation.network import ListeningSocket, Network
from tests.simulation.seams import link_of, phase_of, seams, serve, stuck, unread_of

__all__ = ["World", "run"]

# Short, so that a life is; what a plan does not set is as here.
SETTINGS = {
    "REQUEST_TIMEOUT": 5.0, "REQUEST_IDLE_TIMEOUT": 5.0, "RESPONSE_TIMEOUT": 4.0, "WRITE_TIMEOUT": 5.0, "STREAM_CLEANUP_TIMEOUT": 1.0,
    "LINGER_TIMEOUT": 1.0, "LINGER_TOTAL_TIMEOUT": 5.0, "GRACEFUL_TCP_CLOSE_TIMEOUT": 5.0, "KEEP_ALIVE_TIMEOUT": 5.0,
    "REQUEST_MAX_SIZE": 60_000, "MAX_CONNECTIONS": None, "KEEP_ALIVE": True, "RESPONSE_BUFFER_LIMIT": 16 * 1024 * 1024,
    "GRACEFUL_SHUTDOWN_TIMEOUT": 15.0, "DRAIN_LIMIT": 65_536, "REQUEST_BUFFER_SIZE": 65_536, "RESPONSE_BUFFER_SIZE": 65_536,
    "CANCEL_ON_DISCONNECT": True, "DRAIN_DELAY": None,
}  # fmt: skip

# Seconds after which nobody is left whom a client does not keep: the kernel's patience with a silent peer, and all timeouts.
LAST = 120.0


class _Lines(logging.Handler):
    """Counts the lines of the access log by exchange."""

    def __init__(self, world) -> None:
        super().__init__()
        self._world = world

    def emit(self, record):
        self._world.logged(record.__dict__)


class World:
    """Everything of one run."""

    def __init__(self, plan, trace=None) -> None:
        self.app = the_app()
        self.plan = plan
        self.trace = trace
        self.settings = {**SETTINGS, **plan["settings"]}
        random = Random(plan["order"])
        self.network = Network(random, trace)
        self.loop = LOOPS[plan["loop"]](random, self.network, plan["tick"], plan["late"])
        self.network.after_read = self._see_unread
        self.disk = Disk(plan["cold"], plan["threads"])
        self.listening = ListeningSocket(self.network)
        self.failures = []
        self.specs = {}
        self.records = {}
        self.lines = {}
        self.exchanges = []
        self.covered = Counter()  # (phase of the connection, way to leave)
        self.stopping_at = None
        self.stopped_at = None
        self.clients = [Client(self, number, one) for number, one in enumerate(plan["clients"])]
        for client in self.clients:
            for request in client.plan["requests"]:
                self.specs[request["id"]] = request
                self.records[request["id"]] = Record(self, request["id"])

    def fail(self, rule, text):
        self.failures.append((rule, text))
        self.say("!", rule, text)

    def say(self, *words):
        if self.trace is not None:
            self.trace(self.loop.now, *words)

    # What handlers call

    def begin(self, request, number):
        record = self.records.get(number)
        if record is None:
            self.fail("foreign", f"a request that nobody sent: {number}")
            record = self.records[number] = Record(self, number)
        record.started += 1
        self.say("handler", number, "begins")

        def left():
            record.told["disconnect"] += 1
            self.say("handler", number, "is told that its client has left")

        link = self._link_of(request)

        def over(exchange):
            record.over.append(str(exchange.outcome))
            link.worked_until = self.loop.now
            self.say("exchange", number, "is over:", exchange.outcome)

        request.on_disconnect(left)
        exchange: Exchange = request._exchange
        exchange.when_over(over)
        return record

    def see_left(self, request, record):
        """A handler looks, at its end, whether its client is there."""
        link = self._link_of(request)
        if link is not None and link.lost_at is not None and not request.is_disconnected:
            self.fail("disconnect", f"exchange {record.number}: its connection is lost, and is_disconnected says no")

    def _see_unread(self, link, protocol):
        """What waits to be read is at most the mark and what one read brings."""
        unread = unread_of(protocol)
        if unread > self.settings["REQUEST_BUFFER_SIZE"] + link.largest_read:
            self.fail(
                "unread", f"{unread} bytes on connection {link.number}, whose largest read was {link.largest_read}"
            )

    def _link_of(self, request):
        return link_of(request.transport)

    def leaves(self, client, how):
        """A client begins to leave."""
        self.say(client.number, "leaves:", how)
        self.covered[phase_of(client.link), how] += 1

    def logged(self, fields):
        target = fields.get("target", "-")
        self.lines[target] = self.lines.get(target, 0) + 1

    # Running

    def run(self) -> "World":
        """Run the plan to its end; ``failures`` has what was found."""
        loop = self.loop
        self.app.config.update(self.settings)
        self.app.ctx.world = self
        lines = _Lines(self)
        kept = access_logger.level, access_logger.propagate, error_logger.disabled, logger.disabled
        access_logger.addHandler(lines)
        access_logger.setLevel(logging.INFO)
        access_logger.propagate = False
        logger.disabled = error_logger.disabled = self.trace is None
        asyncio._set_running_loop(loop)
        try:
            with seams(loop, self.network, self.disk):
                self.server = serve(self.app, loop)
                asyncio._set_running_loop(None)
                self._live()
        finally:
            asyncio._set_running_loop(None)
            access_logger.removeHandler(lines)
            access_logger.level, access_logger.propagate, error_logger.disabled, logger.disabled = kept
        return self

    def _live(self):
        loop, plan = self.loop, self.plan
        started = loop.create_task(self._start())
        loop.run_until(started.done, loop.now + 1)
        started.result()
        for client in self.clients:
            self.network.after(client.plan["at"], client.start, None)
        stop = plan.get("stop")
        if stop:
            self.network.after(stop["at"], self._stop, stop)
        loop.run_until(self._all_left, loop.now + 400.0)
        left = [client.number for client in self.clients if not client.over]
        if left:
            self.fail("stuck", f"clients {left} wait for ever: {[self._state(number) for number in left[:3]]}")
        # A day without clients: whoever is still there is not let go.
        loop.run_until(lambda: not self.server.connections, loop.now + LAST)
        if self.server.connections:
            self.fail("leak", f"{len(self.server.connections)} connections stay for ever: {stuck(self.server)}")
        self._end()
        check_end(self)

    async def _start(self):
        await self.server.start(sock=[self.listening])
        self.server.started()

    def _all_left(self):
        return all(client.over for client in self.clients)

    def _stop(self, stop):
        self.say("operator stops", stop)
        self.app.config["DRAIN_DELAY"] = stop.get("drain")
        self.stopping_at = self.loop.now
        self.loop.create_task(self._stopped(stop))
        if "again" in stop:
            self.network.after(stop["again"], self._stop_again, None)

    async def _stopped(self, stop):
        server = self.server
        server.ask_to_stop(drain="drain" in stop)
        await server.drain()
        await server.stop()
        self.stopped_at = self.loop.now
        self.listening.close()
        self.say("server has stopped")

    def _stop_again(self, argument):
        self.loop.create_task(self.server.stop())

    def _end(self):
        """Stop the server, if nobody has; what is left then is left for ever."""
        loop = self.loop
        if self.stopping_at is None:
            self._stop({})
        loop.run_until(lambda: self.stopped_at is not None, loop.now + 60)
        if self.stopped_at is None:
            self.fail("stop", "the server does not stop")
        loop.run_until(lambda: False, loop.now + 5)

    def _state(self, number):
        client = self.clients[number]
        requests = client.plan["requests"]
        open_ = requests[client.reader.whole] if client.reader.whole < len(requests) else None
        return f"{client.number} has {client.reader.whole} of {len(requests)}, waits for {open_}"


def run(plan, trace=None) -> World:
    """Run a plan in a world of its own."""
    world = World(plan, trace)
    gc_was = gc.isenabled()
    gc.disable()
    try:
        return world.run()
    finally:
        if gc_was:
            gc.enable()
