"""What a client reads, judged while it comes: it is the beginning of one legal history, response by response."""

from tests.simulation.bodies import pattern
from tests.simulation.kinds import FAILS, total

__all__ = ["Reader"]

_OF_THE_SERVER = frozenset((400, 408, 413, 414, 417, 429, 431, 501, 503, 505))


class Reader:
    """The responses on one connection."""

    def __init__(self, requests, fail, resets=True) -> None:
        self._requests = requests
        self._resets = resets  # the server can show by a reset that a body was cut which ends with its connection
        self._fail = fail
        self._data = bytearray()
        self.whole = 0  # responses that are complete
        self.statuses = []
        self.interim = 0
        self.last = False  # a response said that it is the last one
        self.ended = False
        self.went_on = False  # 100 Continue was seen for the open request
        self._inside = None  # how the open body is delimited: a number of bytes, chunked, close
        self._left = 0
        self._size = 0
        self._chunk = None
        self._checked = False

    def _bad(self, text):
        number = self._requests[self.whole]["id"] if self.whole < len(self._requests) else None
        self._fail("history", f"response {self.whole} (request {number}): {text}")
        self._data.clear()
        self.last = True

    def feed(self, data):
        """Take what came."""
        self._data += data
        while self._data and self._read():
            pass

    def _read(self) -> bool:
        if self._inside is None:
            return self._read_head()
        if self._inside == "chunked":
            return self._read_chunk()
        count = len(self._data) if self._inside == "close" else min(self._left, len(self._data))
        self._body(bytes(self._data[:count]))
        del self._data[:count]
        if self._inside == "length":
            self._left -= count
            if not self._left:
                self._complete()
        return bool(count)

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        if self.last:
            self._bad(f"bytes behind the last response: {lines[0]!r}")
            return False
        if not lines[0].startswith(b"HTTP/1.1 "):
            self._bad(f"no status line: {lines[0]!r}")
            return False
        status = int(lines[0][9:12])
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b": ")
            fields[name.lower()] = value
        if status < 200:
            self.interim += 1
            self.went_on |= status == 100
            return True
        if self.whole >= len(self._requests):
            self._bad(f"a response to nothing: {lines[0]!r}")
            return False
        request = self._requests[self.whole]
        self.status = status
        self._size = 0
        self._check_status(request, status)
        self.last = fields.get(b"connection", b"").lower() == b"close"
        self._left = int(fields.get(b"content-length", 0))
        if request.get("method") == "HEAD" or status in (204, 304):
            self._complete()
        elif fields.get(b"transfer-encoding") == b"chunked":
            self._inside, self._chunk = "chunked", None
        elif b"content-length" in fields:
            self._inside = "length"
            if not self._left:
                self._complete()
        else:
            self._inside = "close"
            self.last = True
        return True

    def _check_status(self, request, status):
        own = FAILS.get(request["kind"], ())
        if status == 200 or status in own or status in _OF_THE_SERVER:
            return
        self._bad(f"status {status} of {request['kind']}")

    def _read_chunk(self) -> bool:
        if self._chunk is None:
            end = self._data.find(b"\r\n")
            if end < 0:
                return False
            self._chunk = int(bytes(self._data[:end]), 16)
            del self._data[: end + 2]
            return True
        if self._chunk == 0:
            if len(self._data) < 2:
                return False
            if self._data[:2] != b"\r\n":
                self._bad(f"behind the last chunk: {bytes(self._data[:20])!r}")
                return False
            del self._data[:2]
            self._complete()
            return True
        if self._chunk > 0:
            count = min(self._chunk, len(self._data))
            self._body(bytes(self._data[:count]))
            del self._data[:count]
            self._chunk -= count
            if not self._chunk:
                self._chunk = -1
            return bool(count)
        if len(self._data) < 2:
            return False
        if self._data[:2] != b"\r\n":
            self._bad("a chunk without its end")
            return False
        del self._data[:2]
        self._chunk = None
        return True

    def _body(self, data):
        """Bytes of a body: those of this request's exchange, and of no other."""
        if self.status == 200:
            request = self._requests[self.whole]
            size = total(request) if request["kind"] not in ("endless", "short_file") else self._size + len(data)
            if not data or request["kind"] == "endless":
                pass
            elif pattern(request["id"], max(size, self._size + len(data)))[self._size : self._size + len(data)] != data:
                self._bad(f"foreign bytes at {self._size}: {data[:60]!r}")
        self._size += len(data)

    def _complete(self):
        request = self._requests[self.whole]
        own = FAILS.get(request["kind"], ())
        if self.status == 200 and request.get("method") != "HEAD":
            if own and 0 in own and request["kind"] != "unawaited":
                self._bad("a broken response looks whole")
                return
            if self._size != total(request):
                self._bad(f"whole with {self._size} of {total(request)} bytes")
                return
        self.statuses.append(self.status)
        self.whole += 1
        self._inside = None
        self.went_on = False

    def end(self, by_reset):
        """The server has closed."""
        self.ended = True
        if self._inside == "close" and not by_reset:
            request = self._requests[self.whole]
            if self._resets or (0 not in FAILS.get(request["kind"], ()) and self._size == total(request)):
                self._complete()
