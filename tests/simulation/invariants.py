"""What has to be true when a world has ended."""

import asyncio

from tests.simulation.kinds import FAILS, WHOLE, total
from tests.simulation.seams import places

__all__ = ["check_end"]


def check_end(world) -> None:
    """Report every rule that is broken."""
    _nothing_left(world)
    for record in world.records.values():
        _one_end(world, record)
    for link in world.network.links:
        _closed_in_time(world, link)
        _gone_after_reset(world, link)
        _unsent(world, link)
    for client in world.clients:
        if is_steady(world, client):
            if "stop" in world.plan:
                _served_to_the_end(world, client)
            else:
                _answered(world, client)
    _logged(world)


def _nothing_left(world):
    for failure in world.loop.failures:
        world.fail("callback", f"{failure.get('message')}: {failure.get('exception')!r} {failure.get('future', '')}")
    taken, refused = places(world.server)
    if taken or refused:
        world.fail("place", f"{taken} places are taken and {refused} refusals counted after the end")
    tasks = [task for task in asyncio.all_tasks(world.loop) if not task.done()]
    if tasks:
        world.fail("task", f"tasks are left: {[task.get_name() for task in tasks]} {tasks[:2]}")
    names = [number for number, link in world.network.descriptors.items() if link is not None]
    if names:
        world.fail("descriptor", f"descriptors are open: {names}")


def _closed_in_time(world, link):
    """Who takes nothing more keeps a connection that closes for as long as the settings say."""
    took = link.transport.closing_took if link.transport is not None else 0.0
    most = max(world.settings["GRACEFUL_TCP_CLOSE_TIMEOUT"], world.settings["WRITE_TIMEOUT"]) + 2 * SWEEP
    if took > most:
        world.fail("closing", f"connection {link.number} took {took:.1f} s to close, {most} are allowed")


def _unsent(world, link):
    """Handlers that await their writes leave at most the mark, what is gathered in a turn, and one write."""
    requests = world.plan["clients"][link.number]["requests"]
    if link.transport is None or any(request["kind"] == "unawaited" for request in requests):
        return
    both = 2 if any(request["kind"] == "pair" for request in requests) else 1
    writes = [
        max(total(request) if request["kind"] in WHOLE or request["kind"] == "large" else 0, request["size"], 40_000)
        for request in requests
    ]
    most = world.settings["RESPONSE_BUFFER_SIZE"] + GATHERED + both * max(writes) + HEADS * len(requests)
    if link.transport.most_buffered > most:
        world.fail(
            "unsent", f"{link.transport.most_buffered} bytes waited on connection {link.number}, {most} are allowed"
        )


def _gone_after_reset(world, link):
    """A connection whose client has reset it is gone soon, once its handler has ended; and that is soon, if nothing shields it."""
    kinds = [request["kind"] for request in world.plan["clients"][link.number]["requests"]]
    shielded = not world.settings["CANCEL_ON_DISCONNECT"] or any(kind.startswith("shielded") for kind in kinds)
    if link.reset and link.worked_until - link.reset_at > TOLD and not shielded:
        world.fail(
            "told",
            f"a handler on connection {link.number} went on for {link.worked_until - link.reset_at:.1f} s after a reset",
        )
    if link.reset and link.lost_at is not None:
        took = link.lost_at - max(link.reset_at, link.worked_until)
        if took > 2 * SWEEP:
            world.fail("reset", f"connection {link.number} stayed for {took:.1f} s after its reset")


def _one_end(world, record):
    number = record.number
    if record.started > 1:
        world.fail("once", f"the handler of {number} ran {record.started} times")
    if record.started and len(record.over) != 1:
        world.fail("once", f"exchange {number} ended {len(record.over)} times: {record.over}")
    if record.started != record.ended:
        world.fail("once", f"the handler of {number} began and did not end")
    if record.registered != record.completed:
        world.fail("once", f"on_complete of {number}: {record.completed} calls for {record.registered} callbacks")
    if record.told["disconnect"] > 1:
        world.fail("once", f"exchange {number} was told {record.told['disconnect']} times that its client has left")


def _logged(world):
    for record in world.records.values():
        spec = world.specs.get(record.number)
        if spec is None:
            continue
        lines = world.lines.get(f"/{spec['kind']}/{record.number}", 0)
        if lines != (1 if record.started else 0) and not (lines == 1 and not record.started):
            world.fail("log", f"exchange {record.number} has {lines} lines in the access log")


GATHERED = 65_536  # bytes that small writes of one turn may be before they leave
HEADS = 600  # bytes of a head and of what stands around chunks
TOLD = 6.5  # seconds: two looks, a second to read what came, and twice the time to clean up
SWEEP = 0.5  # seconds between two looks at a connection, at most
_UNREAD = frozenset(("partial", "ignore", "swallow_read", "limited"))


def is_steady(world, client) -> bool:
    """Whether a client does nothing that could keep it from its responses."""
    plan = client.plan
    if "leaves" in plan or world.settings["MAX_CONNECTIONS"]:
        return False
    keep = world.settings["KEEP_ALIVE_TIMEOUT"]
    if plan.get("chew", 0.0) * 60 > keep / 2 and len(plan["requests"]) > 1:
        return False  # the connection counts as idle while the client takes what the kernel has
    for number, request in enumerate(plan["requests"]):
        if request["kind"] in _UNREAD and request["chunks"] and number + 1 < len(plan["requests"]):
            return False  # the connection may close behind the rest of a body
        if plan["ahead"] > 1 and (
            0 in FAILS.get(request["kind"], ()) or request["kind"] == "close" or "version" in request
        ):
            return False  # what is sent behind the last response is answered by a reset, which may overtake it
        if "cut" in request or "broken" in request or request["kind"] in ("endless",):
            return False
        if plan.get("pause", 0.0) > 0.02:
            return False
        if request.get("upload", 0) > 59_000 or (request["kind"] in ("limited",) and request.get("upload", 0) > 4_000):
            return False
    return True


def _served_to_the_end(world, client):
    """A stop with time enough cuts no exchange that has begun."""
    if world.settings["GRACEFUL_SHUTDOWN_TIMEOUT"] < 15 or client.plan["ahead"] > 1:
        return
    for at, request in enumerate(client.plan["requests"]):
        if (
            world.records[request["id"]].started
            and at >= client.reader.whole
            and 0 not in FAILS.get(request["kind"], ())
        ):
            world.fail("drain", f"client {client.number}: request {request} was begun and not answered")


def _answered(world, client):
    """A steady client gets all it asked for, until a response says that it is the last one."""
    reader, requests = client.reader, client.plan["requests"]
    for request, status in zip(requests, reader.statuses, strict=False):
        if status != 200 and status not in FAILS.get(request["kind"], ()):
            world.fail("service", f"client {client.number}: request {request} got {status}")
    if reader.whole < len(requests) and not reader.last:
        if 0 in FAILS.get(requests[reader.whole]["kind"], ()):
            return
        world.fail(
            "service",
            f"client {client.number} got {reader.whole} of {len(requests)} responses; the next was to be {requests[reader.whole]}",
        )
