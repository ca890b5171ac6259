"""A chat: what one says, all hear, by server-sent events; who comes back after a break hears what was missed.

python examples/chat.py
open http://127.0.0.1:8000/ in two windows, or: curl -N http://127.0.0.1:8000/heard
"""

from sanicish import Channel, Sanic, empty, html, sse
from sanicish.exceptions import BadRequest

app = Sanic("chat")
app.ctx.room = Channel(history=50)

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}
form{display:flex;gap:.5rem}input{font:inherit;flex:1;min-width:0}input[name=name]{flex:0 1 8rem}button{font:inherit}</style>
<h1>Chat</h1><form><input name="name" placeholder="name" aria-label="name" required>
<input name="text" placeholder="say something" aria-label="text" autocomplete="off" required><button>Say</button></form>
<ul id="heard" aria-live="polite"></ul>
<script>
const form = document.forms[0], heard = document.getElementById("heard")
form.onsubmit = event => {
  event.preventDefault()
  fetch("say", {method: "POST", body: new FormData(form)})
  form.text.value = ""
}
new EventSource("heard").onmessage = event => {
  const {name, text} = JSON.parse(event.data), line = document.createElement("li")
  line.textContent = `${name}: ${text}`
  heard.prepend(line)
}
</script></html>"""


@app.get("/")
async def page(request):
    return html(PAGE)


@app.get("/heard")
async def listen(request):
    return sse(app.ctx.room)


@app.post("/say")
async def say(request):
    name, words = request.form.get("name"), request.form.get("text")
    if not name or not words:
        raise BadRequest("a name and a text are wanted")
    await app.ctx.room.publish({"name": name[:40], "text": words[:1000]})
    return empty()


if __name__ == "__main__":
    app.run()
