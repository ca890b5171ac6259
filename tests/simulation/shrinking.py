"""Makes a plan that fails smaller, as long as it breaks the same rule: fewer clients, fewer requests, plainer ones."""

from copy import deepcopy

from tests.simulation.world import run

__all__ = ["shrunk"]

_PLAINER = {"late": 0.0, "cold": 0.0, "threads": 64, "tick": 1e-5}
_NEEDED = ("id", "kind", "n", "size", "upload", "chunks", "at", "wire", "latency", "room", "requests", "ahead")
_SIMPLE = {
    "latency": 0.0,
    "at": 0.0,
    "wire": "tcp",
    "room": 100_000,
    "ahead": 1,
    "n": 1,
    "size": 100,
    "upload": 100,
    "chunks": 0,
}


def shrunk(plan, rules, most: int = 600):
    """The smallest plan found within so many runs that breaks one of these rules."""
    runs = 0

    def fails(candidate) -> bool:
        nonlocal runs
        runs += 1
        return runs <= most and any(rule in rules for rule, _ in run(candidate).failures)

    best = plan
    going_on = True
    while going_on and runs < most:
        going_on = False
        for candidate in _smaller(best):
            if runs >= most:
                break
            if fails(candidate):
                best = candidate
                going_on = True
                break
    return best


def _smaller(plan):
    """Plans that have a little less, the largest steps first."""
    clients = plan["clients"]
    half = len(clients) // 2
    for some in (clients[:half], clients[half:]) if half else ():
        yield {**plan, "clients": some}
    for at in range(len(clients)):
        if len(clients) > 1:
            yield {**plan, "clients": clients[:at] + clients[at + 1 :]}
    if "stop" in plan:
        yield {key: value for key, value in plan.items() if key != "stop"}
        for key in ("drain", "again"):
            if key in plan["stop"]:
                yield {**plan, "stop": {name: value for name, value in plan["stop"].items() if name != key}}
    for name in plan["settings"]:
        yield {**plan, "settings": {key: value for key, value in plan["settings"].items() if key != name}}
    for name, value in _PLAINER.items():
        if plan[name] != value:
            yield {**plan, name: value}
    for at, client in enumerate(clients):
        for smaller in _smaller_clients(client):
            copied = deepcopy(plan)
            copied["clients"][at] = smaller
            yield copied


def _smaller_clients(client):
    requests = client["requests"]
    for at in range(len(requests)):
        if len(requests) > 1:
            yield {**client, "requests": requests[:at] + requests[at + 1 :]}
    yield from _plainer(client)
    for at, request in enumerate(requests):
        for plainer in _plainer(request):
            yield {**client, "requests": [*requests[:at], plainer, *requests[at + 1 :]]}


def _plainer(thing):
    for name in thing:
        if name not in _NEEDED:
            yield {key: value for key, value in thing.items() if key != name}
    for name, value in _SIMPLE.items():
        if name in thing and thing[name] != value:
            yield {**thing, name: value}
