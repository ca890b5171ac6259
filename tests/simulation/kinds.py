"""What handlers of the simulation have in common: kinds by name, the record of an exchange, and what a client may expect."""

import asyncio

from tests.simulation.bodies import pattern

__all__ = ["FAILS", "KINDS", "WHOLE", "Record", "kind", "note", "pieces", "rest", "total"]

KINDS = {}
FAILS = {}  # kind: statuses of its response; 0 is one that is cut


class Record:
    """What is known of one exchange from the side of the handler."""

    def __init__(self, world, number) -> None:
        self.world = world
        self.fail = world.fail
        self.number = number
        self.started = 0
        self.ended = 0
        self.completed = 0  # calls of on_complete
        self.over = []  # outcomes, as the exchange tells them at its end
        self.told = {"disconnect": 0, "shutdown": 0}
        self.read = 0
        self.read_all = False
        self.registered = 0


def kind(*fails, **options):
    """A handler of a kind, ``_`` behind its name aside; ``fails`` are the statuses that its response may have beside 200."""

    def decorate(function):
        name = function.__name__.rstrip("_")
        KINDS[name] = (function, options)
        if fails:
            FAILS[name] = fails
        return function

    return decorate


def total(request) -> int:
    """Bytes of the response that a handler which does what it should gives."""
    name, size, n = request["kind"], request["size"], request["n"]
    if name == "empty":
        return 0
    if name == "echo":
        return request["upload"]
    if name in WHOLE:
        return size
    if name == "large":
        return size * 3
    return size * n


WHOLE = frozenset((
    "text", "file", "file_stream", "sink", "count", "partial", "ignore", "slow_reader", "exactly", "limited", "reads_late", "hints", "close", "half_close",
    "respond_file", "on_complete_raises", "shielded", "swallow", "swallow_read", "own_timeout",
))  # fmt: skip


def pieces(spec):
    """The body of a streamed response, piece by piece."""
    size, n = spec["size"], spec["n"]
    body = pattern(spec["id"], size * n)
    return [body[at * size : (at + 1) * size] for at in range(n)]


async def rest(spec):
    """What the handler waits for."""
    if "gap" in spec:
        await asyncio.sleep(spec["gap"])


def note(response, record):
    """Have a response tell its end."""
    record.registered += 1

    def ended(outcome):
        record.completed += 1

    response.on_complete(ended)
