"""Any server that speaks OpenAI's chat protocol: llama-server, vLLM, Ollama, LM Studio, or a hosted one.

The server applies its own template and its own tokeniser, so `render` shows the messages and `length` is a careful
guess. Requests are repeated, with patience, only before the first piece; a stream that is cut raises. The key is read
from the environment when it is needed, stands in one header, and is struck out of whatever a server says back.

    POST {base_url}/chat/completions  ->  data: {"choices": [{"delta": {"content": "..."}}]} ...  data: [DONE]
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rag.errors import Cancelled, ConfigError, ModelDied, ModelError, PromptTooLong, RagError
from rag.llm.pieces import Pieces
from rag.types import Message

if TYPE_CHECKING:
    import httpx

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 20.0
_CONNECT_S = 10.0
_LONGEST_LINE = 1 << 20  # bytes
_LONGEST_REFUSAL = 1 << 16  # bytes: a page without an end must not fill the memory


class OpenAILLM:
    """A model on a server. `base_url` ends in '/v1' as a rule; `key_env` names the environment variable with the key.

    `timeout_s`: the longest silence; `retries`: how often a request is repeated, after 0.5, 1, 2 ... seconds or what
    the server asks for. Raises ConfigError for an address that is none."""

    def __init__(
        self,
        base_url: str,
        model: str,
        key_env: str = "OPENAI_API_KEY",
        timeout_s: float = 60.0,
        retries: int = 2,
        window: int = 4096,
    ) -> None:
        import httpx

        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError(f"llm.base_url {base_url!r} is no http address", "for example http://127.0.0.1:8080/v1")
        if url.userinfo:  # addresses are logged; a key stands in the environment, and nowhere else
            raise ConfigError(f"llm.base_url for {url.host} holds a user or a password", f"put the key into ${key_env}")
        self.name = model
        self.window = window
        self.place = f"{url.scheme}://{url.netloc.decode()}"
        self.fingerprint = hashlib.sha256(f"{self.place}{url.path} {model}".encode()).hexdigest()[:16]
        self._url = str(url).rstrip("/") + "/chat/completions"
        self._key_env = key_env
        self._retries, self._timeout_s = retries, timeout_s
        self._closed = False
        self._drafts: weakref.WeakSet[RemoteDraft] = weakref.WeakSet()
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            limits=httpx.Limits(max_keepalive_connections=0),  # a connection per answer: closing it is the stop button
            trust_env=url.host not in ("127.0.0.1", "localhost", "::1"),  # never to this machine by way of a proxy
        )

    def render(self, prompt: Sequence[Message]) -> str:
        """The messages as they are sent; the server's own template is not known here."""
        return "\n\n".join(f"[{m.role}]\n{m.content}" for m in prompt)

    def length(self, prompt: Sequence[Message]) -> int:
        """Tokens, guessed high: one for three bytes (English has about four to a token), and eight for each message."""
        return sum(8 + -(-len(m.content.encode("utf-8", "replace")) // 3) for m in prompt)

    def stream(
        self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()
    ) -> RemoteDraft:
        """The draft at temperature 0, as deterministic as the server is. Nothing is sent before the first `next()`.

        Raises ValueError at once when max_tokens < 1 or a stop string is empty; with the first `next()` PromptTooLong,
        ModelError (refused) or ModelDied (not reached, silent); later ModelDied when the stream is cut."""
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        if not all(stop):
            raise ValueError("an empty stop string would stop everything")
        body = {
            "model": self.name,
            "messages": [{"role": m.role, "content": _clean(m.content)} for m in prompt],
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": seed,
            "stream": True,
            **({"stop": list(stop[:4])} if stop else {}),  # the protocol knows four; ours are all looked for below
        }
        draft = RemoteDraft(_Request(self, body, self.length(prompt) + max_tokens, stop))
        self._drafts.add(draft)
        return draft

    def warm(self) -> None:
        """The server has loaded its model; nothing to do."""

    def close(self) -> None:
        """Closes every connection. Whoever waits hears Cancelled; closing twice is fine."""
        self._closed = True
        for draft in list(self._drafts):
            draft.close()
        self._client.close()

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_env, "")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _hidden(self, text: str) -> str:
        """What a server said, short, and without the key."""
        key = os.environ.get(self._key_env, "")
        return (text.replace(key, "***") if key else text)[:300]


class RemoteDraft(Iterator[str]):
    """The pieces of an answer. `close()`, from any thread, or letting go of it, closes the connection."""

    def __init__(self, request: _Request) -> None:
        self._request = request
        self._run = request.pieces()

    def __next__(self) -> str:
        if self._request.left.is_set():
            raise StopIteration
        return next(self._run)

    def close(self) -> None:
        """Frees the server: it sees its client leave. A second time, or after the end, it does nothing."""
        self._request.leave()
        with suppress(ValueError):  # another thread runs it: it wakes now, and leaves by itself
            self._run.close()

    def __del__(self) -> None:
        self.close()


class _Request:
    """One question to the server. Apart from `RemoteDraft`, so that a draft nobody reads any more is collected."""

    def __init__(self, llm: OpenAILLM, body: Mapping[str, Any], tokens: int, stop: Sequence[str]) -> None:
        self._llm, self._body, self._tokens, self._stop = llm, body, tokens, stop
        self.left = threading.Event()
        self._socket: socket.socket | None = None

    def leave(self) -> None:
        """Shuts the connection, which wakes a thread that reads from it; closing it would not."""
        self.left.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def pieces(self) -> Generator[str, None, None]:
        """The answer; repeats the request as long as nothing of it has come."""
        import httpx

        llm = self._llm
        if llm._closed:
            raise ModelDied("this LLM was closed", "open it again")
        if self._tokens > llm.window:
            raise PromptTooLong(f"prompt and answer are about {self._tokens} tokens, the window {llm.window}")
        attempt = 0
        while True:
            began = False
            try:
                for piece in self._once():
                    began = True
                    yield piece
                return
            except _Again as again:
                if attempt == llm._retries:
                    raise again.reason from None
                wait_s = again.wait_s if again.wait_s is not None else 0.5 * 2**attempt
            except httpx.HTTPError as e:
                if self.left.is_set():
                    raise Cancelled("the answer was stopped") from None
                if began or attempt == llm._retries:
                    raise self._died(e) from None
                wait_s = 0.5 * 2**attempt
            attempt += 1
            if self.left.wait(min(wait_s, _LONGEST_WAIT_S)):
                raise Cancelled("the answer was stopped")

    def _died(self, e: Exception) -> ModelDied:
        what = "fell silent" if "Timeout" in type(e).__name__ else "cut the connection or was not reached"
        return ModelDied(
            f"the LLM server at {self._llm.place} {what} ({type(e).__name__})", "see that it runs; ask again"
        )

    def _once(self) -> Iterator[str]:
        """One request, piece by piece. Raises _Again where a repetition may help."""
        llm = self._llm
        with llm._client.stream(
            "POST", llm._url, json=self._body, headers=llm._headers(), extensions={"trace": self._notice}
        ) as response:
            if response.status_code != 200:
                raise self._refused(response, _start(response))
            if "text/event-stream" not in (kind := response.headers.get("content-type", "nothing")):
                raise ModelError(f"the LLM server at {llm.place} streams {kind}, no events", "check llm.base_url")
            pieces, finished = Pieces(self._stop), False
            for event in self._events(response):
                content, ended = self._delta(event)
                finished = finished or ended
                if (text := pieces.text(content)) != "":
                    yield text
                if pieces.stopped:
                    return
            if not finished and self.left.is_set():
                raise Cancelled("the answer was stopped")
            if not finished:
                raise ModelDied(f"the LLM server at {llm.place} cut its answer short", "ask again")
            if (text := pieces.rest()) != "":
                yield text

    def _notice(self, event: str, info: Mapping[str, Any]) -> None:
        """Keeps the connection's socket, known here before the server has said a word."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.left.is_set():
                raise Cancelled("the answer was stopped")

    def _refused(self, response: httpx.Response, text: str) -> Exception:
        said = self._llm._hidden(_message(text))
        code = response.status_code
        if code in _AGAIN:
            wait = response.headers.get("retry-after", "")
            reason = ModelError(f"the LLM server at {self._llm.place} answered {code}: {said}", "try again later")
            return _Again(reason, float(wait) if wait.isdigit() else None)
        if code in (400, 413) and "context" in said.lower():
            return PromptTooLong(f"the LLM server at {self._llm.place} says: {said}", "choose a smaller llm.window")
        hint = (
            f"is the key in ${self._llm._key_env} right?" if code in (401, 403) else "check llm.base_url and llm.model"
        )
        return ModelError(f"the LLM server at {self._llm.place} answered {code}: {said}", hint)

    def _events(self, response: httpx.Response) -> Iterator[str]:
        """The data of each server-sent event. Comments are skipped: they keep a connection alive, and are no sign that
        an answer will come."""
        data: list[str] = []
        heard = time.monotonic()
        for line in self._lines(response):
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
                heard = time.monotonic()
            elif line == "" and data:
                yield "\n".join(data)
                data, heard = [], time.monotonic()  # the reader's time is not the server's
            elif time.monotonic() - heard > self._llm._timeout_s:
                silence = f"said for {self._llm._timeout_s:g} s only that it lives"
                raise ModelDied(f"the LLM server at {self._llm.place} {silence}", "ask again, or raise llm.timeout_s")

    def _lines(self, response: httpx.Response) -> Iterator[str]:
        """The lines of the stream. Raises ModelError for one without an end."""
        rest = b""
        for part in response.iter_bytes():
            *lines, rest = (rest + part).split(b"\n")
            yield from (line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines)
            if len(rest) > _LONGEST_LINE:
                raise ModelError(
                    f"the LLM server at {self._llm.place} sends a line without an end", "check llm.base_url"
                )
        yield rest.decode("utf-8", "replace")

    def _delta(self, event: str) -> tuple[str, bool]:
        """The text of an event, and whether it ends the answer."""
        if event == "[DONE]":
            return "", True
        try:
            told = json.loads(event)
            if "error" in told:
                raise ModelError(f"the LLM server at {self._llm.place} says: {self._llm._hidden(_message(event))}")
            choices = told["choices"]
            if not choices:  # some servers end with an event that only counts tokens
                return "", False
            reason = choices[0].get("finish_reason")
            content = choices[0].get("delta", {}).get("content")
            if reason == "content_filter":
                raise ModelError(f"the LLM server at {self._llm.place} withheld the rest of its answer")
            if content is not None and not isinstance(content, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            said = self._llm._hidden(event)[:80]
            raise ModelError(
                f"the LLM server at {self._llm.place} does not speak the chat protocol: {said!r}", "check llm.base_url"
            ) from None
        return content if content is not None else "", reason is not None


class _Again(Exception):
    """A refusal that may pass: `reason` if it does not, `wait_s` if the server named a time."""

    def __init__(self, reason: RagError, wait_s: float | None) -> None:
        super().__init__(str(reason))
        self.reason, self.wait_s = reason, wait_s


def _start(response: httpx.Response) -> str:
    """The beginning of what a server says beside its refusal."""
    said = b""
    for part in response.iter_bytes():
        said += part
        if len(said) > _LONGEST_REFUSAL:
            break
    return said.decode("utf-8", "replace")


def _message(text: str) -> str:
    """The message inside an error's JSON, in the two shapes that servers use; else the text itself."""
    with suppress(ValueError, AttributeError):
        error = json.loads(text).get("error", "")
        return str(error.get("message", error)) if isinstance(error, dict) else str(error or text)
    return " ".join(text.split())


def _clean(text: str) -> str:
    """Text that can be sent as UTF-8: a lone surrogate becomes '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")
