"""An exchange around another one, for whatever changes or watches every response."""

from collections.abc import Awaitable
from typing import Any

from sanicish.exchange import ConnInfo, Exchange, Notice, Outcome, RequestHead, Rules
from sanicish.headers import Headers, Trailers
from sanicish.streams.incoming import RequestStream

__all__ = ["WrappedExchange"]


class WrappedExchange(Exchange):
    """An exchange around another one: what it does not change itself, the other one does and knows."""

    __slots__ = ("inner",)

    def __init__(self, inner: Exchange) -> None:
        self.inner = inner

    def notify(self, notice: Notice) -> None:
        self.inner.notify(notice)

    def has(self, notice: Notice) -> bool:
        return self.inner.has(notice)

    @property
    def congested(self) -> bool:
        return self.inner.congested

    @property
    def unsent(self) -> int:
        return self.inner.unsent

    @property
    def takes_trailers(self) -> bool:
        return self.inner.takes_trailers

    @property
    def bodiless(self) -> bool:
        return self.inner.bodiless

    def inform(self, status: int, headers: Headers | None = None) -> bool:
        return self.inner.inform(status, headers)

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        self.inner.start(status, headers, content_type, chunked)

    def write(self, data: bytes) -> Awaitable[None]:
        return self.inner.write(data)

    async def send_file(self, descriptor: int, offset: int, count: int) -> bool:
        return await self.inner.send_file(descriptor, offset, count)

    def flush(self) -> Awaitable[None]:
        return self.inner.flush()

    def finish(self) -> Awaitable[None]:
        return self.inner.finish()

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        self.inner.send_whole(status, headers, content_type, body)

    def tunnel(self, status: int, headers: Headers) -> None:
        self.inner.tunnel(status, headers)

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        self.inner.abort(outcome)

    # The attributes of an exchange are those of the inner one.

    @property
    def head(self) -> RequestHead:
        return self.inner.head

    @head.setter
    def head(self, value: RequestHead) -> None:
        self.inner.head = value

    @property
    def body(self) -> RequestStream:
        return self.inner.body

    @body.setter
    def body(self, value: RequestStream) -> None:
        self.inner.body = value

    @property
    def conn(self) -> ConnInfo:
        return self.inner.conn

    @conn.setter
    def conn(self, value: ConnInfo) -> None:
        self.inner.conn = value

    @property
    def rules(self) -> Rules:
        return self.inner.rules

    @rules.setter
    def rules(self, value: Rules) -> None:
        self.inner.rules = value

    @property
    def route_name(self) -> str:
        return self.inner.route_name

    @route_name.setter
    def route_name(self, value: str) -> None:
        self.inner.route_name = value

    @property
    def request_id(self) -> Any:
        return self.inner.request_id

    @request_id.setter
    def request_id(self, value: Any) -> None:
        self.inner.request_id = value

    @property
    def status(self) -> int:
        return self.inner.status

    @status.setter
    def status(self, value: int) -> None:
        self.inner.status = value

    @property
    def bytes_sent(self) -> int:
        return self.inner.bytes_sent

    @bytes_sent.setter
    def bytes_sent(self, value: int) -> None:
        self.inner.bytes_sent = value

    @property
    def trailers(self) -> Trailers | None:
        return self.inner.trailers

    @trailers.setter
    def trailers(self, value: Trailers | None) -> None:
        self.inner.trailers = value

    @property
    def started_at(self) -> float:
        return self.inner.started_at

    @started_at.setter
    def started_at(self, value: float) -> None:
        self.inner.started_at = value

    @property
    def head_sent_at(self) -> float:
        return self.inner.head_sent_at

    @head_sent_at.setter
    def head_sent_at(self, value: float) -> None:
        self.inner.head_sent_at = value

    @property
    def outcome(self) -> Outcome | None:
        return self.inner.outcome

    @outcome.setter
    def outcome(self, value: Outcome | None) -> None:
        self.inner.outcome = value

    @property
    def cancel_reason(self) -> str | None:
        return self.inner.cancel_reason

    @cancel_reason.setter
    def cancel_reason(self, value: str | None) -> None:
        self.inner.cancel_reason = value

    @property
    def notices(self) -> dict[Notice, Any] | None:
        return self.inner.notices

    @notices.setter
    def notices(self, value: dict[Notice, Any] | None) -> None:
        self.inner.notices = value
