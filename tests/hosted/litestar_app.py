"""Litestar's part of ``test_frameworks``."""

from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, post, route
from litestar.background_tasks import BackgroundTask
from litestar.response import File, Stream


def make(trial):
    @get("/hello", media_type=MediaType.TEXT)
    async def hello(request: Request[Any, Any, Any]) -> str:
        return "hello " + request.query_params["name"]

    @route("/idle", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def idle(request: Request[Any, Any, Any]) -> Stream:
        await request.body()
        return Stream(trial.idle(), media_type="text/plain")

    @get("/failing")
    async def failing() -> Stream:
        return Stream(trial.failing(), media_type="text/plain")

    @post("/upload", status_code=200, media_type=MediaType.TEXT)
    async def upload(request: Request[Any, Any, Any]) -> str:
        async for piece in request.stream():
            trial.piece(piece)
        return trial.received()

    @get("/named", media_type=MediaType.TEXT)
    async def named() -> Response[str]:
        return Response("named", headers={"X-Name": "é.bin"})

    @get("/sent")
    async def sent() -> File:
        return File(trial.file, filename="é.bin")

    @get("/later", media_type=MediaType.TEXT)
    async def later() -> Response[str]:
        return Response("now", background=BackgroundTask(trial.later))

    @get("/here", name="here", media_type=MediaType.TEXT)
    async def here(request: Request[Any, Any, Any]) -> str:
        return str(request.url_for("here"))

    async def startup() -> None:
        trial.event("startup")

    async def shutdown() -> None:
        trial.event("shutdown")

    handlers = [hello, idle, failing, upload, named, sent, later, here]
    return Litestar(handlers, on_startup=[startup], on_shutdown=[shutdown], openapi_config=None)
