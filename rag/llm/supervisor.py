"""The host's side of the worker process: starts it, talks to it, notices when it dies or falls silent.

A `Supervised` is one life of one process. Requests may come from any thread; one listening thread hands each reply to
whoever asked. When the process ends, whoever still waits is told `ModelDied`, and this object is of no more use:
rag/llm/llama.py makes the next one.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import rag.errors
from rag.errors import ModelDied, ModelError, RagError

Reply = Mapping[str, Any]
Hear = Callable[[Reply | RagError], None]
"""Called from the listening thread with each reply: 'text' and 'beat' go on, 'end' or an error is the last."""

_LOAD = 0
_WATCH_S = 0.5


class Supervised:
    """A worker process, loading from the moment it is made; requests sent meanwhile wait inside it.

    `load` is the load request; `start_timeout_s` bounds loading, `silence_timeout_s` the time between two signs of
    life while somebody waits."""

    def __init__(self, load: Mapping[str, Any], start_timeout_s: float, silence_timeout_s: float) -> None:
        self._patience_s = {True: start_timeout_s, False: silence_timeout_s}
        self._ids = itertools.count(_LOAD)
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # its own: a process that no longer reads must not keep the watch from looking
        self._waiting: dict[int, Hear] = {}
        self._heard = time.monotonic()
        self._dead: RagError | None = None
        self._ending: RagError | None = None
        self._last_words = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rag.llm.worker"],  # -P: a file beside the user must not replace a module
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # Ctrl-C and job control belong to the parent
        )
        self.pid = self._process.pid
        threading.Thread(target=self._listen, name="rag-llm", daemon=True).start()
        self.ask(load, self._loaded)

    @property
    def alive(self) -> bool:
        """False once the process is known to have ended."""
        return self._dead is None and self._ending is None

    def ask(self, request: Mapping[str, Any], hear: Hear) -> int:
        """Sends a request; `hear` gets its replies. Returns its id. Raises ModelDied if there is nobody to ask."""
        with self._lock:
            if not self.alive:
                raise self._ending or self._dead or ModelDied("the LLM's process has ended")
            if not self._waiting:
                self._heard = time.monotonic()
            number = next(self._ids)
            self._waiting[number] = hear
        self._send({**request, "id": number})
        return number

    def cancel(self, number: int) -> None:
        """Stops a request: its end comes within milliseconds. Nothing happens if it has ended."""
        with self._lock:
            running = number in self._waiting
        if running:
            self._send({"op": "cancel", "id": number})

    def end(self, reason: RagError) -> None:
        """Kills the process; whoever waits hears `reason`."""
        self._ending = self._ending or reason
        with suppress(ProcessLookupError):
            self._process.kill()

    def join(self, timeout_s: float) -> None:
        """Waits until the process is gone."""
        self._process.wait(timeout_s)

    def _send(self, message: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with self._sending, suppress(BrokenPipeError, ValueError):  # gone: the listening thread tells everybody why
            view = memoryview(json.dumps(message).encode() + b"\n")
            while view:
                view = view[stdin.write(view) :]

    def _loaded(self, reply: Reply | RagError) -> None:
        if isinstance(reply, RagError):
            self.end(reply)

    # --- the listening thread ---

    def _listen(self) -> None:
        try:
            self._pump()
        except Exception as e:
            self.end(ModelDied(f"the LLM's process cannot be understood: {type(e).__name__}: {e}"))
        self._bury()

    def _pump(self) -> None:
        """Reads both pipes until the process closes them."""
        out, err = self._process.stdout, self._process.stderr
        assert out is not None and err is not None
        rest = b""
        with selectors.DefaultSelector() as pipes:
            pipes.register(out, selectors.EVENT_READ)
            pipes.register(err, selectors.EVENT_READ)
            while pipes.get_map():
                for key, _ in pipes.select(_WATCH_S):
                    data = os.read(key.fd, 65_536)
                    if not data:
                        pipes.unregister(key.fileobj)
                    elif key.fileobj is err:
                        self._last_words = (self._last_words + data)[-2000:]
                    else:
                        *lines, rest = (rest + data).split(b"\n")
                        self._hand_out(lines)
                self._watch()

    def _hand_out(self, lines: list[bytes]) -> None:
        self._heard = time.monotonic()
        for line in lines:
            reply = json.loads(line)
            last = "text" not in reply and "beat" not in reply
            with self._lock:
                hear = self._waiting.pop(reply["id"], None) if last else self._waiting.get(reply["id"])
            if hear is not None:
                hear(_error(*reply["error"]) if "error" in reply else reply)

    def _watch(self) -> None:
        """Ends a process that says nothing while somebody waits for it."""
        with self._lock:
            patience_s = self._patience_s[_LOAD in self._waiting]
            silent_s = time.monotonic() - self._heard if self._waiting else 0.0
        if silent_s > patience_s and self._ending is None:
            self.end(ModelDied(f"the LLM's process said nothing for {silent_s:.0f} s and was stopped", "ask again"))

    def _bury(self) -> None:
        code = self._process.wait()
        words = self._last_words.decode("utf-8", "replace").strip().splitlines()
        said = f": {words[-1]}" if words else ""
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        with self._lock:
            reason = self._ending or ModelDied(f"the LLM's process ended ({how}){said}", "ask again: it starts anew")
            self._dead = reason
            left, self._waiting = list(self._waiting.values()), {}
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        for hear in left:
            hear(reason)


def _environment() -> dict[str, str]:
    """The worker's environment: this very package, no debugger on an abort, and no secrets."""
    root = str(Path(rag.errors.__file__).resolve().parent.parent)
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    kept["GGML_NO_BACKTRACE"] = "1"  # ggml's abort handler may start a debugger and hang
    # A thread that waits for another must soon sleep: spinning on, one busy neighbour makes an answer ten times slower;
    # asleep at once ("passive"), a quiet machine writes at half its speed. A thousand turns: neither.
    kept.setdefault("GOMP_SPINCOUNT", "1000")
    return kept


def _error(kind: str, message: str, hint: str) -> RagError:
    """The error that the worker told, as its own class again."""
    told = getattr(rag.errors, kind, None)
    return (told if isinstance(told, type) and issubclass(told, RagError) else ModelError)(message, hint)
