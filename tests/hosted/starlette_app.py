"""Starlette's part of ``test_frameworks``."""

from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


def make(trial):
    async def hello(request):
        return PlainTextResponse("hello " + request.query_params["name"])

    async def idle(request):
        await request.body()
        return StreamingResponse(trial.idle(), media_type="text/plain")

    async def failing(request):
        return StreamingResponse(trial.failing(), media_type="text/plain")

    async def upload(request):
        async for piece in request.stream():
            trial.piece(piece)
        return PlainTextResponse(trial.received())

    async def named(request):
        return Response(b"named", headers={"X-Name": "é.bin"})

    async def sent(request):
        return FileResponse(trial.file, filename="é.bin")

    async def later(request):
        return PlainTextResponse("now", background=BackgroundTask(trial.later))

    async def here(request):
        return PlainTextResponse(request.url_for("here").path)

    @asynccontextmanager
    async def lifespan(app):
        trial.event("startup")
        yield
        trial.event("shutdown")

    endpoints = (hello, idle, failing, named, sent, later, here)
    routes = [Route(f"/{endpoint.__name__}", endpoint, methods=["GET", "POST"]) for endpoint in endpoints]
    routes.append(Route("/upload", upload, methods=["POST"]))
    return Starlette(routes=routes, lifespan=lifespan)
