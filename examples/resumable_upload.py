"""An upload that goes on where it was cut: HEAD tells how much has arrived, PUT with Content-Range brings the rest.

python examples/resumable_upload.py
curl -T big.iso http://127.0.0.1:8000/big.iso              Ctrl-C in the middle
curl -I http://127.0.0.1:8000/big.iso                      upload-offset: 123456789
curl -T big.iso -C 123456789 http://127.0.0.1:8000/big.iso
"""

import re
import tempfile
from pathlib import Path

import aiofiles

from sanicish import Sanic, empty, json
from sanicish.exceptions import BadRequest, SanicException

app = Sanic("resumable")
app.ctx.folder, app.ctx.coming = Path(tempfile.gettempdir()), set()
NAME = "/<name:[A-Za-z0-9_-][A-Za-z0-9_.-]*>"
RANGE = re.compile("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def part_of(name):
    part = app.ctx.folder / f".{name}.part"  # no upload can be named so
    return part, part.stat().st_size if part.exists() else 0


@app.head(NAME)
async def offset(request, name):
    return empty(200, headers={"Upload-Offset": str(part_of(name)[1])})


@app.put(NAME, stream=True)
async def upload(request, name):
    part, size = part_of(name)
    first, total = 0, request.stream.total  # without Content-Range it begins anew
    if "content-range" in request.headers:
        said = RANGE.fullmatch(request.headers["content-range"])
        if not said or not (first := int(said[1])) <= (last := int(said[2])) < (total := int(said[3])):
            raise BadRequest("Content-Range is bytes FIRST-LAST/TOTAL")
        request.stream.limit(last + 1 - first)  # more is a 413
    if name in app.ctx.coming or first not in (0, size):
        raise SanicException("it does not go on there, or comes already", 409, headers={"Upload-Offset": str(size)})
    app.ctx.coming.add(name)
    try:  # when the client leaves, what arrived has been written
        async with aiofiles.open(part, "ab" if first else "wb") as out:
            async for data in request.stream:
                await out.write(data)
    finally:
        app.ctx.coming.discard(name)
    whole = total in (None, first + request.stream.received)
    if whole:
        part.replace(app.ctx.folder / name)
    return json({"bytes": first + request.stream.received, "of": total}, status=201 if whole else 202)


if __name__ == "__main__":
    app.run()
