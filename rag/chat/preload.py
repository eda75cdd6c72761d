"""What must be in the page before Gradio starts: our script, and the names of the files that Gradio will ask for.

Gradio inserts a `head` of ours only when most of its own scripts have run, and these ask for each other one after the
other, in four rounds. Written into the reply itself, our script asks for what it needs at once, and all files come in
one round, from memory and as they are: Gradio would read and compress each of them anew for each page, which is wasted
within one computer. The list was read off a browser (`python -m tests.browser.assets`); a name that this version of
Gradio does not have is passed over, so that another version is slower, never broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIST = Path(__file__).with_name("preload.txt")


def files() -> dict[str, bytes]:
    """The files of the list that are there, by name."""
    folder = assets()
    if folder is None or not LIST.is_file():
        return {}
    return {name: (folder / name).read_bytes() for name in LIST.read_text("utf-8").split() if (folder / name).is_file()}


def links(names: Iterable[str]) -> str:
    """`<link>` elements for these files; `crossorigin`, as Gradio asks for them, or they come twice."""
    return "".join(
        f'<link rel="modulepreload" href="./assets/{name}">'
        if name.endswith(".js")
        else f'<link rel="preload" as="style" crossorigin href="./assets/{name}">'
        for name in names
    )


def assets() -> Path | None:
    """Where Gradio keeps them; None if it does not any more."""
    spec = find_spec("gradio")
    folder = Path(spec.origin).parent / "templates" / "frontend" / "assets" if spec and spec.origin else None
    return folder if folder is not None and folder.is_dir() else None


class Early:
    """ASGI middleware that writes `head` at the beginning of the head of the page at '/', and sends `files`."""

    def __init__(self, app: ASGIApp, head: Callable[[], str], files: Mapping[str, bytes]) -> None:
        self._app, self._head = app, head
        self._files = {f"/assets/{name}": content for name, content in files.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in self._files:
            await _send_file(scope["path"], self._files[scope["path"]], send)
            return
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begin: Message | None = None
        body = b""

        async def gathered(message: Message) -> None:
            nonlocal begin, body
            if message["type"] == "http.response.start":
                begin = message
                return
            body += message.get("body", b"")
            if message.get("more_body") or begin is None:
                return
            whole = body.replace(b"<head>", b"<head>" + self._head().encode(), 1)
            kept = [(name, value) for name, value in begin["headers"] if name.lower() != b"content-length"]
            length = (b"content-length", str(len(whole)).encode())
            await send({**begin, "headers": [*kept, length]})
            await send({"type": "http.response.body", "body": whole})

        await self._app(scope, receive, gathered)


async def _send_file(path: str, content: bytes, send: Send) -> None:
    kind = b"text/javascript; charset=utf-8" if path.endswith(".js") else b"text/css; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"public, max-age=31536000, immutable"),  # a hash of the content is in the name
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
