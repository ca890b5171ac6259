"""What happens in one world, as plain data made of a seed: settings, clients and their requests, and the operator.

A plan can be made smaller, kept in a file and run again; whatever is not in it is decided by its ``order``, a seed too.
"""

from random import Random

__all__ = ["make_plan"]

# kind: weight. What each does stands in handlers.
KINDS = {
    "text": 6, "empty": 1, "large": 2, "stream": 6, "unawaited": 2, "length": 2, "generator": 3, "sync_generator": 2,
    "inline": 1, "respond": 3, "respond_file": 1, "file": 3, "file_stream": 1, "broken": 3, "broken_length": 1, "broken_generator": 2, "broken_early": 2,
    "short_file": 1, "never": 1, "endless": 2, "shielded": 2, "shielded_stream": 1, "swallow": 1, "stubborn": 1, "group": 2, "pair": 2, "timeout": 1,
    "cancels_itself": 1, "raises_base": 1, "forgets": 1, "close": 1, "half_close": 1, "on_complete_raises": 1, "own_timeout": 1, "writes_beside": 1,
    "hints": 1,
}  # fmt: skip
UPLOADS = {
    "echo": 4, "sink": 4, "count": 3, "partial": 3, "ignore": 2, "slow_reader": 2, "exactly": 2, "limited": 1, "swallow_read": 1,
    "reads_late": 1,
}  # fmt: skip
SIZES = (0, 1, 2, 15, 100, 1_000, 5_000, 16_384, 16_385, 40_000, 70_000)
WAYS = ("close", "half", "reset", "vanish", "half_reset", "stop_reading")
MARKS = (1, 2, 7, 64, 1_000, 4_096, 16_384, 65_536)


def _choose(random, weights):
    return random.choices(list(weights), list(weights.values()))[0]


class _Some:
    """A few kinds of handlers and ways to leave, for one world: so it tries them in many ways, and other worlds try others."""

    def __init__(self, random) -> None:
        self.kinds = _few(random, KINDS)
        self.uploads = _few(random, UPLOADS)
        self.upload = random.choice((0.0, 0.3, 0.9))
        self.rude = random.choice((0.0, 0.3, 0.9))
        self.ways = random.sample(WAYS, random.choice((1, 2, len(WAYS))))
        self.wires = random.choice((("tcp",), ("tls",), ("unix",), ("tcp", "tcp", "tls", "unix")))


def _few(random, weights):
    few = random.choice((1, 2, 4, len(weights)))
    return weights if few == len(weights) else dict.fromkeys(random.sample(list(weights), few), 1)


def _request(random, number, some):
    upload = random.random() < some.upload
    kind = _choose(random, some.uploads if upload else some.kinds)
    request = {"id": number, "kind": kind, "n": random.randrange(5), "size": random.choice(SIZES)}
    if random.random() < 0.3:
        request["gap"] = random.choice((0.0, 0.001, 0.03, 0.3))
    if random.random() < 0.08:
        request["version"] = "1.0"
    if upload:
        request["upload"] = random.choice(SIZES)
        request["chunks"] = random.choice((0, 0, 1, 2, 5))  # 0: Content-Length
        if random.random() < 0.15:
            request["expect"] = True
        if random.random() < 0.08:
            request["cut"] = random.randrange(100)  # percent of the body after which nothing more is sent
        if request["chunks"]:
            request.pop("version", None)
    elif random.random() < 0.08:
        request["method"] = "HEAD"
    if random.random() < 0.04:
        request["broken"] = random.choice(("line", "field", "length", "version", "host", "chunk"))
    return request


def _client(random, numbers, some):
    client = {"at": round(random.random() * random.choice((0.0, 0.05, 1.0)), 4)}
    client["wire"] = random.choice(some.wires)
    client["latency"] = random.choice((0.0, 0.0001, 0.001, 0.05))
    client["room"] = random.choice((1_000, 4_096, 20_000, 100_000, 400_000))
    client["requests"] = [_request(random, next(numbers), some) for _ in range(random.choice((1, 1, 1, 2, 3, 6)))]
    client["ahead"] = random.choice((1, 1, 1, 2, 10))  # requests that are sent before their responses have come
    if random.random() < 0.4:
        client["piece"] = random.choice((1, 3, 20, 500, 10_000))
        client["pause"] = random.choice((0.0, 0.0001, 0.01, 0.4))
    if random.random() < 0.3:
        client["bite"] = random.choice((1, 100, 3_000, 50_000))
        client["chew"] = random.choice((0.0, 0.001, 0.02, 0.2))
    if random.random() < some.rude:
        how = random.choice(some.ways)
        when = random.choice(("sent", "seen"))
        client["leaves"] = [how, when, random.choice((0, 1, 30, 60, 100, 300, 2_000, 30_000, 100_000))]
        if random.random() < 0.3:
            client["leaves"].append(random.choice((0.0001, 0.02, 0.06, 1.0)))  # and so much later
    return client


def make_plan(seed: int) -> dict:
    """The plan of a seed."""
    random = Random(seed)
    loop = random.choice(("uvloop", "asyncio"))
    slow = random.random() < 0.2
    settings = {
        "REQUEST_BUFFER_SIZE": random.choice(MARKS),
        "RESPONSE_BUFFER_SIZE": random.choice(MARKS),
        "KEEP_ALIVE_TIMEOUT": random.choice((0.5, 2, 5)),
        "DRAIN_LIMIT": random.choice((0, 100, 65_536)),
        "GRACEFUL_SHUTDOWN_TIMEOUT": random.choice((0.0, 1.0, 15.0)),
        "CANCEL_ON_DISCONNECT": random.random() < 0.9,
    }
    if random.random() < 0.2:
        settings["RESPONSE_BUFFER_LIMIT"] = 200_000  # what awaited writes may reach: two marks and a piece
    if random.random() < 0.1:
        settings["MAX_CONNECTIONS"] = random.choice((1, 2, 5))
    if random.random() < 0.1:
        settings["KEEP_ALIVE"] = False
    numbers = iter(range(1, 10_000))
    some = _Some(random)
    count = random.choice((1, 2, 3, 5, 8, 20))
    plan = {
        "seed": seed,
        "order": random.randrange(2**32),
        "loop": loop,
        "tick": random.choice((1e-6, 1e-5, 1e-4)) if not slow else 1e-3,
        "late": random.choice((0.0, 0.2, 0.5)),
        "cold": random.choice((0.0, 0.3, 1.0)),
        "threads": random.choice((1, 2, 64)),
        "settings": settings,
        "clients": [_client(random, numbers, some) for _ in range(count)],
    }
    if not settings["CANCEL_ON_DISCONNECT"]:  # then a handler without an end has none, by design
        for client in plan["clients"]:
            for request in client["requests"]:
                if request["kind"] in ("never", "stubborn"):
                    request["kind"] = "text"
    if random.random() < 0.4:
        plan["stop"] = {"at": round(random.random() * random.choice((0.05, 0.5, 3.0)), 4)}
        if random.random() < 0.4:
            plan["stop"]["drain"] = random.choice((0.05, 1.0))
        if random.random() < 0.2:
            plan["stop"]["again"] = random.choice((0.0, 0.1))
    return plan
