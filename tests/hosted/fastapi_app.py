"""FastAPI's part of ``test_frameworks``."""

from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, Body, Depends, FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse


def make(trial):
    @asynccontextmanager
    async def lifespan(app):
        trial.event("startup")
        yield
        trial.event("shutdown")

    app = FastAPI(lifespan=lifespan)

    @app.get("/hello")
    async def hello(name: str):
        return PlainTextResponse("hello " + name)

    async def connection():
        """A dependency that is released when the response has ended."""
        yield
        trial.event("released")

    @app.api_route("/idle", methods=["GET", "HEAD"])
    async def idle(connection: None = Depends(connection)):
        return StreamingResponse(trial.idle(), media_type="text/plain")

    @app.post("/idle")
    async def idle_after_a_body(ids: list[int] = Body()):
        return StreamingResponse(trial.idle(), media_type="text/plain")

    @app.get("/failing")
    async def failing():
        return StreamingResponse(trial.failing(), media_type="text/plain")

    @app.post("/upload")
    async def upload(request: Request):
        async for piece in request.stream():
            trial.piece(piece)
        return PlainTextResponse(trial.received())

    @app.get("/named")
    async def named():
        return Response(b"named", headers={"X-Name": "é.bin"})

    @app.get("/sent")
    async def sent():
        return FileResponse(trial.file, filename="é.bin")

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(trial.later)
        return PlainTextResponse("now", background=tasks)

    @app.get("/here")
    async def here(request: Request):
        return PlainTextResponse(request.url_for("here").path)

    return app
