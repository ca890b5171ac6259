"""One producer, many clients: an event is encoded once and written to all who listen.

A client that keeps up costs a write and nothing else; one that does not has a queue of its own, so that it delays
nobody, and a policy for when that is full. It never knows who publishes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from sanicish.events import Event, plain_id
from sanicish.response import StreamingHTTPResponse
from sanicish.streams.flow import READY

__all__ = ["Channel"]

Policy = Literal["drop_oldest", "disconnect", "wait"]

_JOINED = 65_536  # bytes that a client which has fallen behind is sent in one write


class _Listener:
    """One client, and what it has not been sent yet."""

    __slots__ = ("_task", "_waiter", "direct", "dropped", "ended", "queue", "response")

    def __init__(self, response: StreamingHTTPResponse) -> None:
        self.response = response
        self.queue: deque[bytes] = deque()
        self.direct = False  # whether it has been sent everything, and its task sleeps
        self.dropped = 0  # events it will never see
        self.ended = False  # nothing will arrive after what is in the queue
        self._task = asyncio.current_task()
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, event: bytes) -> None:
        if self.direct and not self.response.congested:
            self.response.write(event)
        else:
            self.direct = False
            self.queue.append(event)
            self.wake()

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def drop(self) -> None:
        if self._task is not None:
            self._task.cancel("the client is too slow for the channel")

    async def run(self, taken: Callable[[], None]) -> None:
        """Send what is in the queue whenever there is something, until the channel ends."""
        queue = self.queue
        while True:
            while queue:
                pieces = [queue.popleft()]
                size = len(pieces[0])
                while queue and size < _JOINED:
                    pieces.append(queue.popleft())
                    size += len(pieces[-1])
                await self.response.write(b"".join(pieces))
                taken()
            if self.ended:
                return
            self.direct = True
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class Channel:
    """Events for many clients: ``publish`` in one place, ``return sse(channel)`` in a handler.

    The last ``history`` events are kept for clients that come back and tell what they saw last (``Last-Event-ID``);
    events get numbers as ids then, unless they have ids of their own. ``limit`` is how many events may wait for one
    client; beyond it ``policy`` says what happens: ``drop_oldest`` of its events, ``disconnect`` it, or ``wait``,
    which makes awaiting ``publish`` wait for it. Belongs to one loop, and is no thread's but that.
    """

    def __init__(self, history: int = 0, limit: int = 1_000, policy: Policy = "drop_oldest") -> None:
        if policy not in ("drop_oldest", "disconnect", "wait"):
            raise ValueError(f"not a policy for slow clients: {policy!r}")
        if limit < 1 or history < 0:
            raise ValueError("limit is at least 1, history at least 0")
        self.limit = limit
        self.policy = policy
        self.dropped = 0  # events that some client was never sent
        self._history: deque[tuple[str, bytes]] = deque(maxlen=history)
        self._number = 0
        self._listeners: set[_Listener] = set()
        self._room: asyncio.Future[None] | None = None  # of publishers that wait for slow clients
        self._closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def publish(
        self,
        data: Any = None,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
    ) -> Awaitable[None]:
        """Send an event to all who listen; awaiting it waits for slow clients if the policy is ``wait``.

        Raises ``RuntimeError`` when the channel is closed.
        """
        if self._closed:
            raise RuntimeError("the channel is closed")
        whole = data if isinstance(data, Event) else Event(data, event, id, retry)
        if self._history.maxlen:
            if whole.id is None:
                self._number += 1
                whole = Event(whole.data, whole.event, self._number, whole.retry, whole.comment)
            encoded = whole.encode()
            self._history.append((plain_id(whole.id), encoded))
        else:
            encoded = whole.encode()
        for listener in tuple(self._listeners):
            listener.offer(encoded)
            if len(listener.queue) > self.limit:
                self._too_slow(listener)
        return self._wait() if self.policy == "wait" and self._is_full() else READY

    def _too_slow(self, listener: _Listener) -> None:
        if self.policy == "drop_oldest":
            listener.queue.popleft()
            listener.dropped += 1
            self.dropped += 1
        elif self.policy == "disconnect":
            self._listeners.discard(listener)
            self.dropped += len(listener.queue)
            listener.queue.clear()
            listener.drop()

    def _is_full(self) -> bool:
        return any(len(listener.queue) > self.limit for listener in self._listeners)

    async def _wait(self) -> None:
        while self._is_full():
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def _taken(self) -> None:
        """A client was sent something, or is gone: publishers may look again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def close(self) -> None:
        """End the streams of all clients, once they were sent what waits for them.

        Clients that come back are sent what they missed of the history, and then 204, which ends an ``EventSource``.
        """
        self._closed = True
        for listener in self._listeners:
            listener.ended = True
            listener.wake()

    def missed(self, last_event_id: str | None) -> list[bytes]:
        """The events after one that a client saw; all that are known if it is not among them, none without one."""
        if last_event_id is None:
            return []
        known = list(self._history)
        if self._closed and known and known[-1][0] == last_event_id:
            return []  # an id that several events have must not bring a client back for ever
        for place, (id, _) in enumerate(known):
            if id == last_event_id:
                return [encoded for _, encoded in known[place + 1 :]]
        return [encoded for _, encoded in known]

    def is_over(self, last_event_id: str | None) -> bool:
        """Whether the channel is closed and a client that saw this event has missed nothing."""
        return self._closed and not self.missed(last_event_id)

    async def stream_to(self, response: StreamingHTTPResponse, last_event_id: str | None) -> None:
        """Send one client what it missed and what will arrive; what ``sse(channel)`` does."""
        listener = _Listener(response)
        listener.queue.extend(self.missed(last_event_id))
        listener.ended = self._closed
        self._listeners.add(listener)
        try:
            await listener.run(self._taken)
        finally:
            self._listeners.discard(listener)
            self._taken()
