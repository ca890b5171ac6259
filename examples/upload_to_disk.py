"""Write an upload of any size to disk as it arrives; memory stays flat.

python examples/upload_to_disk.py
curl -T bigfile http://127.0.0.1:8000/files/copy.bin
"""

import tempfile
from pathlib import Path

import aiofiles
import aiofiles.os

from sanicish import Sanic
from sanicish.exceptions import BadRequest
from sanicish.response import json

app = Sanic("upload")
app.ctx.folder = Path(tempfile.gettempdir())


@app.put("/files/<name:[A-Za-z0-9_.-]+>", stream=True)
async def upload(request, name):
    if name.startswith("."):
        raise BadRequest("a file name does not begin with a dot")
    target = app.ctx.folder / name
    part = target.with_name(f"{name}.part")
    try:
        async with aiofiles.open(part, "wb") as out:
            async for data in request.stream:
                await out.write(data)
        await aiofiles.os.replace(part, target)  # whoever looks sees the whole file or none
    except BaseException:  # also when the client leaves in the middle
        part.unlink(missing_ok=True)
        raise
    return json({"name": name, "bytes": request.stream.received}, status=201)


if __name__ == "__main__":
    app.run()
