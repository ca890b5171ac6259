"""An application in Sentry's wrapper, as the command line gets it; prints what is reported to Sentry."""

import asyncio

import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route


class Printed(Transport):
    def capture_envelope(self, envelope):
        if event := envelope.get_event():
            print("reported:", event["exception"]["values"][-1]["value"], flush=True)


def fail(message):
    raise ValueError(message)


async def hello(request):
    return PlainTextResponse("hello")


async def idle(request):
    async def pieces():
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            print("ended", flush=True)

    return StreamingResponse(pieces())


async def failing(request):
    async def pieces():
        yield b"begun"
        await asyncio.sleep(0)
        fail("in the stream")

    return StreamingResponse(pieces())


async def broken(request):
    fail("before the response")


async def later(request):
    return PlainTextResponse("now", background=BackgroundTask(fail, "after the response"))


sentry_sdk.init(dsn="http://key@127.0.0.1/1", transport=Printed)
app = SentryAsgiMiddleware(
    Starlette(routes=[Route(f"/{one.__name__}", one) for one in (hello, idle, failing, broken, later)])
)
