"""Write an upload of any size to disk as it arrives: the whole file or none; memory stays flat.

python examples/upload_to_disk.py
curl -T bigfile http://127.0.0.1:8000/files/copy.bin
"""

import tempfile
from pathlib import Path

from sanicish import Sanic, json

app = Sanic("upload")
app.ctx.folder = Path(tempfile.gettempdir())


@app.put("/files/<name:[A-Za-z0-9_-][A-Za-z0-9_.-]*>", stream=True)
async def upload(request, name):
    saved = await request.stream.save(app.ctx.folder / name)
    return json({"name": name, "bytes": saved.size, "sha256": saved.digest}, status=201)


if __name__ == "__main__":
    app.run()
