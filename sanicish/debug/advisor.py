"""Debug mode while the server runs: who looks at what, from the start of the server to its stop."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sanicish.debug.connections import ConnectionWatch, Opened, opened
from sanicish.debug.generators import GeneratorWatch
from sanicish.debug.lessons import Lesson, Lessons
from sanicish.debug.watchdog import Watchdog
from sanicish.debug.watched import WatchedExchange
from sanicish.exchange import Answer, Exchange
from sanicish.log.places import Place

__all__ = ["Advisor"]


class Advisor:
    """Answers as the application does, and tells what it sees."""

    def __init__(self, config: Mapping[str, Any], answer: Answer) -> None:
        self._config = config
        self._answer = answer
        self._lessons = Lessons()
        self._pools: set[Place] = set()  # where a request has made one
        self._watches: list[Watchdog | GeneratorWatch | ConnectionWatch] = []

    def on_event(self, event: str) -> None:
        """An event of the server's life."""
        if event == "after_server_start":
            loop = asyncio.get_running_loop()
            self._watches = [GeneratorWatch(self._not_closed), ConnectionWatch(loop)]
            if self._config["DEBUG_BLOCKING_TIME"]:
                self._watches.append(
                    Watchdog(loop.call_soon_threadsafe, self._config["DEBUG_BLOCKING_TIME"], self._blocked)
                )
        elif event.endswith("_server_stop"):
            for watch in self._watches:
                watch.stop()
            self._watches = []

    async def answer(self, app: Any, exchange: Exchange) -> None:
        """Answer one exchange, and look at how."""
        config = self._config
        watched = WatchedExchange(
            exchange, self._lessons, config["RESPONSE_BUFFER_SIZE"], config["RESPONSE_BUFFER_LIMIT"]
        )
        notes: list[Opened] = []
        opened.set(notes)
        try:
            await self._answer(app, watched)
        finally:
            watched.look_back()
            if notes:  # what a handler only drops is closed after it
                asyncio.get_running_loop().call_soon(self._look_at, notes)

    def _look_at(self, notes: list[Opened]) -> None:
        again = {one.place for one in notes if one.by_new_pool and one.place in self._pools}  # one is made on first use
        self._pools |= {one.place for one in notes if one.by_new_pool}
        for transport, place, _ in notes:
            if transport.is_closing() or place in again:
                self._lessons.tell(Lesson.CONNECTS, place)

    def _not_closed(self, place: Place) -> None:
        self._lessons.tell(Lesson.NOT_CLOSED, place)

    def _blocked(self, place: Place, stack: str) -> None:
        self._lessons.tell(Lesson.BLOCKED, place, self._config["DEBUG_BLOCKING_TIME"] * 1000, stack=stack)
