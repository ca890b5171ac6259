"""Quart's part of ``test_frameworks``."""

from quart import Quart, request, send_file, url_for


def make(trial):
    app = Quart("hosted")
    app.config.update(RESPONSE_TIMEOUT=None, BACKGROUND_TASK_SHUTDOWN_TIMEOUT=trial.patience)

    @app.before_serving
    async def startup():
        trial.event("startup")

    @app.after_serving
    async def shutdown():
        trial.event("shutdown")

    @app.get("/hello")
    async def hello():
        return "hello " + request.args["name"]

    @app.route("/idle", methods=["GET", "POST"])
    async def idle():
        await request.get_data()
        return trial.idle(), {"Content-Type": "text/plain"}

    @app.get("/failing")
    async def failing():
        return trial.failing(), {"Content-Type": "text/plain"}

    @app.post("/upload")
    async def upload():
        async for piece in request.body:
            trial.piece(piece)
        return trial.received()

    @app.get("/named")
    async def named():
        return "named", {"X-Name": "é.bin"}

    @app.get("/sent")
    async def sent():
        return await send_file(trial.file, as_attachment=True, attachment_filename="é.bin")

    @app.get("/later")
    async def later():
        app.add_background_task(trial.later)
        return "now"

    @app.get("/here")
    async def here():
        return url_for("here")

    return app
