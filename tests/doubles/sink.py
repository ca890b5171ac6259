"""A sink that writes down what a parser tells it; pieces of one body are one."""

from typing import Any

from sanicish.exceptions import SanicException
from sanicish.exchange import RequestHead
from sanicish.http1.parser import RequestParser

Story = list[tuple[Any, ...]]


class RecordingSink:
    """What was told, as a list: heads, bodies, ends with their trailers, and at last the status of an error."""

    def __init__(self) -> None:
        self.story: Story = []
        self.heads: list[RequestHead] = []
        self.ends = 0

    def on_head(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.story.append(
            ("head", head.method, head.target, head.version, tuple(head.fields), head.keep_alive, head.body_length)
        )
        if head.body_length == 0:
            self.on_end(None)

    def on_data(self, data: bytes) -> None:
        assert data, "an empty piece"
        if self.story[-1][0] == "data":
            self.story[-1] = ("data", self.story[-1][1] + bytes(data))
        else:
            self.story.append(("data", bytes(data)))

    def on_end(self, trailers: Any) -> None:
        self.ends += 1
        self.story.append(("end", tuple(trailers or ())))


def tell(parser: RequestParser, sink: RecordingSink, pieces: list[bytes]) -> Story:
    """Feed pieces as a connection does, and stop where it stops: at the first error."""
    try:
        for piece in pieces:
            pos = 0
            while pos < len(piece):
                before = sink.ends
                moved = parser.feed(piece, pos)
                assert pos < moved <= len(piece), "a feed takes at least one byte and at most all"
                assert sink.ends <= before + 1, "one message end per feed"
                pos = moved
    except SanicException as error:
        sink.story.append(("error", error.status_code))
    return sink.story
