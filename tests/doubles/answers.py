"""What a server sent, as a strict client reads it."""

from typing import NamedTuple

from h11 import CLIENT, Connection, Data, EndOfMessage, InformationalResponse, RemoteProtocolError, Request, Response


class Reply(NamedTuple):
    """One answer; ``whole`` unless it was cut."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


def read_answers(raw: bytes, *methods: str) -> list[Reply]:
    """All that stands in ``raw``, read until its end, as answers to requests with these methods; the last one counts
    for all further ones."""
    replies: list[Reply] = []
    while raw:
        method = methods[min(len(replies), len(methods) - 1)] if methods else "GET"
        judge = Connection(CLIENT)
        judge.send(Request(method=method, target="/", headers=[("Host", "a")]))
        judge.send(EndOfMessage())
        judge.receive_data(raw)
        judge.receive_data(b"")
        status, headers, body, whole = 0, {}, b"", False
        try:
            while not whole:
                event = judge.next_event()
                if isinstance(event, InformationalResponse):
                    continue
                if isinstance(event, Response):
                    status = event.status_code
                    headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                elif isinstance(event, Data):
                    body += bytes(event.data)
                elif isinstance(event, EndOfMessage):
                    whole = True
        except RemoteProtocolError:
            if not status:
                raise
        replies.append(Reply(status, headers, body, whole))
        raw = judge.trailing_data[0] if whole else b""
    return replies
