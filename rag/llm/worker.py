"""The process in which the local LLM lives: `python -P -m rag.llm.worker`, started by rag/llm/supervisor.py.

One JSON object per line, requests on standard input, replies on standard output. What the library itself prints goes to
standard error, so that it can never be taken for a reply.

    {"op": "load", "id": 0, "path": ..., "window": ..., "threads": ...}     -> {"id": 0, "end": {}}
    {"op": "write", "id": 7, "pieces": [[text, is_control]...], "joint": 9, "max_tokens": 96, "stop": [...]}
        -> {"id": 7, "text": "Yes"} .. {"id": 7, "end": {"finish": "turn", "prompt": 210, "reused": 128, "written": 3}}
    {"op": "score", "id": 8, "pieces": ..., "continuations": [...]}          -> {"id": 8, "end": {"scores": [...]}}
    {"op": "length", "id": 9, "pieces": ...}                                 -> {"id": 9, "end": {"tokens": 210}}
    {"op": "cancel", "id": 7}                                                -> the end of 7, with finish "cancelled"
    anything that fails                                                   -> {"id": 7, "error": [class, message, hint]}
    {"id": 7, "beat": true} at least every second while nothing else is said.

Two threads: this one listens and answers what may be answered beside a running answer (cancel, length); the main one
owns the model. The process ends when its input closes or its parent is gone, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import ModelError, RagError
from rag.llm.engine import Engine, Stopped
from rag.llm.pieces import Pieces

Request = dict[str, Any]
_BEAT_S = 1.0


class Worker:
    """The two ends of the pipe, and the model between them."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._saying = threading.Lock()
        self._said = time.monotonic()
        self._jobs: queue.Queue[Request] = queue.Queue()
        self._cancelled: set[int] = set()
        self._now = 0
        self._engine: Engine | None = None

    def serve(self) -> None:
        """The main thread: one job after the other, until the process ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        while True:
            job = self._jobs.get()
            self._now = job["id"]
            self._do(job)
            self._cancelled = {i for i in self._cancelled if i > self._now}

    def _listen(self) -> None:
        """The listening thread. Ends the whole process when nobody can ask any more."""
        for line in self._requests:
            request = json.loads(line)
            if request["op"] == "cancel":
                self._cancelled.add(request["id"])
            elif request["op"] == "length" and self._engine is not None:
                self._do(request)  # reads the vocabulary only: safe beside a running answer
            else:
                self._jobs.put(request)
        os._exit(0)

    def _do(self, job: Request) -> None:
        try:
            self._say(job["id"], end=getattr(self, f"_{job['op']}")(job))
        except Stopped:
            self._say(job["id"], end={"finish": "cancelled"})
        except RagError as e:
            self._say(job["id"], error=[type(e).__name__, e.message, e.hint])
        except Exception as e:
            self._say(job["id"], error=[ModelError.__name__, f"{type(e).__name__} in the LLM's process: {e}", ""])
        if job["op"] == "load" and self._engine is None:
            os._exit(1)

    def _load(self, job: Request) -> dict[str, Any]:
        self._engine = Engine(job["path"], job["window"], job["threads"], self._beat)
        return {}

    def _length(self, job: Request) -> dict[str, Any]:
        return {"tokens": len(self._loaded().tokens(job["pieces"]))}

    def _score(self, job: Request) -> dict[str, Any]:
        engine = self._loaded()
        prompt, joint = _prompt(engine, job)
        continuations = [engine.tokens([(text, False)]) for text in job["continuations"]]
        return {"scores": engine.score(prompt, continuations, joint)}

    def _write(self, job: Request) -> dict[str, Any]:
        engine = self._loaded()
        prompt, joint = _prompt(engine, job)
        told = {"prompt": len(prompt), "reused": engine.reused(prompt, joint) if prompt else 0}
        pieces, written, finish = Pieces(job["stop"]), 0, "turn"
        for data in engine.write(prompt, job["max_tokens"], joint):
            written += 1
            self._tell(job["id"], pieces.add(data))
            if self._beat():
                raise Stopped
            if pieces.stopped:
                finish = "stop"
                break
        else:
            finish = "length" if written == job["max_tokens"] else "turn"
        self._tell(job["id"], pieces.rest())
        return {"finish": finish, **told, "written": written}

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise ModelError("no model is loaded")
        return self._engine

    def _beat(self) -> bool:
        """Says that this process lives, if nothing was said for a second; True if the asker went away."""
        if time.monotonic() - self._said > _BEAT_S:
            self._say(self._now, beat=True)
        return self._now in self._cancelled

    def _tell(self, to: int, text: str) -> None:
        if text:
            self._say(to, text=text)

    def _say(self, to: int, **what: Any) -> None:
        with self._saying:
            self._replies.write(json.dumps({"id": to, **what}).encode() + b"\n")
            self._replies.flush()
            self._said = time.monotonic()


def _prompt(engine: Engine, job: Request) -> tuple[list[int], int]:
    """The tokens of a request, and how many of them stand before its last message: its first `joint` pieces."""
    before, last = (engine.tokens(part) for part in (job["pieces"][: job["joint"]], job["pieces"][job["joint"] :]))
    return before + last, len(before) if last else 0


def _end_with_parent(parent: int) -> None:
    """A second way to notice that the parent is gone: a fork of it may hold our input open."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def main() -> None:
    """Takes the pipes for itself and leaves standard output to the library's noise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    with suppress(OSError):  # Linux: if memory runs out, this process goes first, not the page or the index
        Path("/proc/self/oom_score_adj").write_text("600", "ascii")
    try:
        Worker(requests, replies).serve()
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
