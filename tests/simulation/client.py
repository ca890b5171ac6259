"""A client: it sends its requests as its plan says, takes what comes at its own pace, and leaves in one of many ways."""

from tests.simulation.bodies import pattern
from tests.simulation.reading import Reader

__all__ = ["Client", "as_bytes"]

_BROKEN = {
    "line": b"GET /text/1 HTP/1.1\r\nHost: a\r\n\r\n",
    "field": b"GET /text/1 HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\n",
    "length": b"POST /sink/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n",
    "version": b"GET /text/1 HTTP/3.7\r\nHost: a\r\n\r\n",
    "host": b"GET /text/1 HTTP/1.1\r\n\r\n",
    "chunk": b"POST /sink/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}
_GIVES_UP_WAITING = 0.5  # seconds until a body is sent without 100 Continue
_PATIENCE = 60  # pieces and bites of a slow client; then it takes and sends all it can
_ALL = 1_000_000
_KERNEL_GIVES_UP = 60.0  # seconds until the server's kernel finds out that a silent peer is gone


def as_bytes(request) -> tuple[bytes, bytes]:
    """Head and body of a request; a body that is cut has the bytes that are sent."""
    if "broken" in request:
        return _BROKEN[request["broken"]], b""
    upload = request.get("upload")
    method = request.get("method", "GET" if upload is None else "POST")
    version = request.get("version", "1.1")
    head = [f"{method} /{request['kind']}/{request['id']} HTTP/{version}", "Host: a"]
    if request["kind"] == "hints":
        head.append("Sec-Fetch-Mode: navigate")
    body = b""
    if upload is not None:
        data = pattern(request["id"], upload, b"q")
        chunks = request["chunks"]
        if chunks:
            head.append("Transfer-Encoding: chunked")
            size = upload // chunks + 1
            pieces = [data[at : at + size] for at in range(0, upload, size)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            head.append(f"Content-Length: {upload}")
            body = data
        if "cut" in request:
            body = body[: len(body) * request["cut"] // 100]
        if request.get("expect"):
            head.append("Expect: 100-continue")
    return ("\r\n".join(head) + "\r\n\r\n").encode(), body


def _can_be_reset(plan) -> bool:
    """Whether the server can show that a body which ends with its connection was cut.

    There is no reset on unix sockets, and no half-close in the TLS of either loop.
    """
    return plan["wire"] == "tcp" or (plan["wire"] == "tls" and "half" not in plan.get("leaves", "-")[0])


class Client:
    """One connection from its beginning to its end."""

    def __init__(self, world, number, plan) -> None:
        self.world = world
        self.number = number
        self.plan = plan
        self.address = (f"10.0.0.{number % 250}", 1_024 + number)
        self.latency = plan["latency"]
        self.link = world.network.link(number, plan["wire"], plan["room"], self)
        self.accepted = False
        self.reader = Reader(plan["requests"], self._fail, _can_be_reset(plan))
        self.sent = 0  # bytes, in all
        self.over = False  # it does nothing any more
        self.left_at = None
        self.reset_seen = False
        self.end_seen = False
        self._reading = True
        self._queue = bytearray()
        self._next = 0  # the request that is sent next
        self._sending = False
        self._taking = False
        self._bites = self._pieces = 0
        self._held = b""  # a body that waits for 100 Continue
        self._leaves = plan.get("leaves")
        self._endless = any(request["kind"] == "endless" for request in plan["requests"])
        if self._leaves is None and self._endless:
            self._leaves = ["close", "seen", 2_000]
        self._ended = False  # our side

    def _fail(self, rule, text):
        self.world.fail(rule, f"client {self.number}: {text}")

    def start(self, argument=None):
        if self.world.listening.offer(self.link):
            self._go_on()
        else:
            self.turned_away()

    def turned_away(self):
        """Nobody listens."""
        self.over = True
        self.world.say(self.number, "is turned away")
        self.left_at = self.world.loop.now

    # Sending

    def _go_on(self):
        """Send what may be sent now."""
        if self.over or self._ended or self.reader.last:
            return
        requests = self.plan["requests"]
        while self._next < len(requests) and self._next < self.reader.whole + self.plan["ahead"] and not self._held:
            request = requests[self._next]
            head, body = as_bytes(request)
            self._queue += head
            if request.get("expect") and body:
                self._held = body
                self.world.network.after(_GIVES_UP_WAITING, self._send_held, self._next)
            else:
                self._queue += body
            self._next += 1
            if "cut" in request or "broken" in request:
                self._next = len(requests)
        self._leave_if("sent", self.sent)
        if self._queue and not self._sending:
            self._sending = True
            self._send()

    def _send_held(self, index):
        if self._held and index == self._next - 1 and not self.over:
            self._queue += self._held
            self._held = b""
            self._go_on()

    def _send(self, argument=None):
        self._sending = False
        if self.over or self._ended or not self._queue:
            return
        if self.link.full():
            self._later(0.01)
            return
        plan = self.plan
        self._pieces += 1
        piece = plan.get("piece", _ALL) if self._pieces < _PATIENCE else 65_536
        data = bytes(self._queue[:piece])
        del self._queue[: len(data)]
        self.sent += len(data)
        self.world.network.after(self.latency, self._arrive, data)
        self._leave_if("sent", self.sent)
        if self._queue and not self.over:
            self._later(plan.get("pause", 0.0))
        elif not self._queue and self._next >= len(plan["requests"]) and not self._held:
            self._all_sent()

    def _later(self, seconds):
        self._sending = True
        self.world.network.after(seconds, self._send, None)

    def _arrive(self, data):
        self.world.say(self.number, "sent", len(data), data[:60])
        self.link.arrive(data)

    def _all_sent(self):
        last = self.plan["requests"][-1]
        if "cut" in last and self._leaves is None:  # it cannot be answered: the client goes
            self._leave("close")

    # Taking

    def stir(self):
        """Something has come."""
        if not self._taking and self._reading:
            self._taking = True
            self.world.network.after(self.latency, self._take, None)

    def _take(self, argument):
        self._taking = False
        link, plan = self.link, self.plan
        if self.over and self.left_at is not None:
            return
        if link.outgoing:
            self._bites += 1
            data = link.take(plan.get("bite", _ALL) if self._bites < _PATIENCE else _ALL)
            self.world.say(self.number, "took", len(data), data[:60])
            self.reader.feed(data)
            if self._held and (self.reader.went_on or self.reader.whole >= self._next):
                if self.reader.went_on:
                    self._send_held(self._next - 1)
                else:
                    self._held = b""
                    self._next = len(plan["requests"])
                    self._leave("close")
            if self._leave_if("seen", link.taken):
                return
            if self._endless and self._bites > _PATIENCE and not self.over:
                self._leave("close")
                return
            self._go_on()
            if link.outgoing or link.finished:
                self._taking = True
                self.world.network.after(plan.get("chew", 0.0), self._take, None)
            elif self.reader.whole >= len(plan["requests"]) and not self._leaves:
                self._done()
            return
        if link.finished:
            self._saw_end(link.refused)

    def _saw_end(self, by_reset):
        if not self.end_seen:
            self.end_seen = True
            self.reset_seen = by_reset
            self.world.say(self.number, "saw", "reset" if by_reset else "end")
            self.reader.end(by_reset)
            self._leave("close")

    def _done(self):
        """All has been answered; some wait for the server to close, some do not."""
        if self.number % 2:
            self._leave("close")

    # Leaving

    def _leave_if(self, when, count) -> bool:
        leaves = self._leaves
        if leaves and leaves[1] == when and count >= leaves[2] and (when == "sent" or count):
            self._leaves = None
            if len(leaves) > 3:
                self.world.network.after(leaves[3], self._leave, leaves[0])
                return False
            self._leave(leaves[0])
            return self.over
        return False

    def _leave(self, how):
        if self.over:
            return
        network, link = self.world.network, self.link
        self.world.leaves(self, how)
        if how in ("half", "half_reset"):
            self._ended = True
            network.after(self.latency, link.arrive_end, None)
            if how == "half_reset":
                network.after(self.latency + 0.02, self._leave, "reset")
            return
        if how == "stop_reading":
            self._reading = False
            network.after(20.0, self._leave, "close")
            return
        self.over = True
        self.left_at = self.world.loop.now
        if how == "close":
            unread = bool(link.outgoing)
            link.peer_gone = True
            network.after(self.latency, link.arrive_end if not unread else link.arrive_reset, None)
        elif how == "reset":
            network.after(self.latency, link.arrive_reset, None)
        elif how == "vanish":
            network.after(_KERNEL_GIVES_UP, link.arrive_reset, None)
