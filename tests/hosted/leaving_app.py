"""An ASGI application that waits for so many seconds as the query says, and prints what becomes of it."""

import asyncio


async def app(scope, receive, send):
    assert scope["type"] == "http"
    try:
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        print("it has begun", flush=True)
        await asyncio.sleep(float(scope["query_string"]))
        print("it went on", flush=True)
    except asyncio.CancelledError:
        print("it was cancelled", flush=True)
        raise
