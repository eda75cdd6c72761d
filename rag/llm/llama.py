"""The local LLM as the house sees it: llama.cpp in a process of its own, one answer at a time.

Threads that ask at once stand in one line (rag/llm/line.py), first come, first served, and each may see its place.
Closing a draft, from any thread, takes it out of the line, or stops the model within milliseconds, be it writing or
still reading the prompt. If the process dies, whoever was being answered hears `ModelDied`; the next in the line gets a
new process.

    LlamaLLM --Supervised--> pipes --worker.py--> engine.py --llama_cpp--> the model
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from rag.errors import Cancelled, ConfigError, ModelDied, ModelError, RagError
from rag.files import sha256_of
from rag.llm.gguf import Header, check_memory, free_memory, read_header
from rag.llm.line import Line
from rag.llm.supervisor import Reply, Supervised
from rag.llm.templates import recognise, template
from rag.types import Message


class LlamaLLM:
    """A GGUF model, greedy: same prompt, same text, whatever was asked before.

    `path` is the model file; `template` a name in rag/llm/templates.py, or 'auto': recognised by the file's own.
    `window`: tokens of prompt and answer together, 64 to what the model was trained for. `threads`: None for the number
    of physical cores. `sha256`: of the file, if it is known already. Loading begins with the first use, or `warm()`.

    Raises ModelMissing, ModelDamaged or ConfigError at once; on use ModelError (too big for the free memory, not to be
    loaded) and ModelDied.
    """

    def __init__(
        self,
        path: Path,
        template: str = "auto",
        window: int = 2048,
        threads: int | None = None,
        sha256: str | None = None,
        start_timeout_s: float = 300.0,
        silence_timeout_s: float = 30.0,
    ) -> None:
        self._header = read_header(path, vocabulary=template == "auto")
        self.name = path.stem
        self.window = _checked_window(self._header, window)
        self.template = _template_name(self._header, template)
        told = f"{sha256 if sha256 is not None else sha256_of(path)} {self.template} {_library()}"
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._load = {
            "op": "load",
            "path": str(path.resolve()),
            "window": window,
            "threads": _checked_threads(threads),
        }
        self._timeouts_s = (start_timeout_s, silence_timeout_s)
        self._line = Line()
        self._home = _Home()
        # Not __del__: this also runs when the interpreter ends, and holds no reference to self.
        self._close = weakref.finalize(self, self._home.close)

    @property
    def waiting(self) -> int:
        """How many askers are being answered or stand in the line."""
        return len(self._line)

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        worker = self._home.worker
        return worker.pid if worker is not None and worker.alive else None

    def warm(self) -> None:
        """Starts loading, and returns at once. Raises Busy if the line is full: better told before a search."""
        self._line.check()
        self._worker()

    def render(self, prompt: Sequence[Message]) -> str:
        """The exact text of the prompt; where content reads like a control string, it is data all the same."""
        return "".join(text for text, _ in template(self.template).pieces(prompt))

    def length(self, prompt: Sequence[Message]) -> int:
        """Tokens of the rendered prompt. Does not wait for the line: it is counted beside a running answer."""
        return int(self._ask({"op": "length", "pieces": self._pieces(prompt)})["tokens"])

    def stream(self, prompt: Sequence[Message], max_tokens: int, seed: int = 0, stop: Sequence[str] = ()) -> Draft:
        """The draft, greedy, so that `seed` changes nothing. Takes its place in the line with the first `next()`,
        or `waits()`.

        Raises ValueError at once when max_tokens < 1 or a stop string is empty; with the first `next()` Busy,
        PromptTooLong, ModelError or ModelDied; later ModelDied, or Cancelled in a thread that waits while another
        closes the draft."""
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        if not all(stop):
            raise ValueError("an empty stop string would stop everything")
        request = {"op": "write", **self._prompt(prompt), "max_tokens": max_tokens, "stop": list(stop)}
        return Draft(_Asking(self._line, self._worker, request))

    def score(self, prompt: Sequence[Message], continuations: Sequence[str]) -> list[float]:
        """The natural logarithm of the probability that the answer begins with each text; 0 is certain. Stands in the
        line like `stream`."""
        if not all(continuations):
            raise ValueError("an empty continuation has no probability")
        request = {"op": "score", **self._prompt(prompt), "continuations": list(continuations)}
        asking = _Asking(self._line, self._worker, request)
        try:
            while (said := asking.next()) is not None:
                if isinstance(said, RagError):
                    raise said
        finally:
            asking.close()
        return [float(score) for score in asking.told["scores"]]

    def close(self) -> None:
        """Ends the process. Whoever waits hears ModelDied; closing twice is fine."""
        self._close()

    def __enter__(self) -> LlamaLLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self, prompt: Sequence[Message]) -> list[tuple[str, bool]]:
        return template(self.template).pieces(prompt)

    def _prompt(self, prompt: Sequence[Message]) -> dict[str, Any]:
        """The pieces, and the number of those that stand before the last message: what other prompts may share."""
        pieces, before = self._pieces(prompt), self._pieces(prompt[:-1])
        joint = next((i for i, (a, b) in enumerate(zip(pieces, before, strict=False)) if a != b), 0)
        return {"pieces": pieces, "joint": joint}

    def _worker(self) -> Supervised:
        def start() -> Supervised:
            check_memory(self._header, self.window, free_memory())
            try:
                return Supervised(self._load, *self._timeouts_s)
            except OSError as e:
                raise ModelError(f"the LLM's process cannot be started: {e.strerror}", "close other programs") from e

        return self._home.worker_or(start)

    def _ask(self, request: Mapping[str, Any]) -> Reply:
        """A request that needs no place in the line."""
        inbox: queue.SimpleQueue[Reply | RagError] = queue.SimpleQueue()
        self._worker().ask(request, inbox.put)
        while True:
            said = inbox.get()
            if isinstance(said, RagError):
                raise said
            if "end" in said:
                end: Reply = said["end"]
                return end


@dataclass(frozen=True, slots=True)
class Usage:
    """What a draft took, in tokens. `reused`: of the prompt, taken from the cache; `finish`: 'turn' (the model ended
    it), 'stop' (a stop string) or 'length' (max_tokens)."""

    prompt: int
    reused: int
    written: int
    finish: str


class Draft(Iterator[str]):
    """The pieces of an answer, each of whole characters. `close()`, from any thread, or letting go of it, ends it."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def __next__(self) -> str:
        said = self._asking.next()
        if said is None:
            raise StopIteration
        if isinstance(said, RagError):
            raise said
        return said

    def waits(self) -> Iterator[int]:
        """How many are answered before it, at first and each time that changes; nothing if it need not wait. Takes its
        place in the line. Raises Busy."""
        yield from self._asking.before()  # not returned: the draft must live as long as somebody watches its place

    @property
    def usage(self) -> Usage | None:
        """What it took; None until it has ended by itself."""
        told = self._asking.told
        return Usage(told["prompt"], told["reused"], told["written"], told["finish"]) if "written" in told else None

    def close(self) -> None:
        """Leaves the line, or frees the model within a second; a second time, or after the end, it does nothing."""
        self._asking.close()

    def __del__(self) -> None:
        self._asking.close()


class _Asking:
    """One request on its way: waiting for its turn, running, over. Apart from `Draft`, so that the hold that other
    threads have on it does not keep a draft alive that nobody reads any more."""

    def __init__(self, line: Line, worker: Callable[[], Supervised], request: Mapping[str, Any]) -> None:
        self._line, self._worker, self._request = line, worker, request
        self._inbox: queue.SimpleQueue[str | RagError | None] = queue.SimpleQueue()
        self._lock = threading.RLock()  # close() may run inside next(), from a collected draft
        self._sent: tuple[Supervised, int] | None = None
        self._joined = self._over = self._closed = False
        self.told: Reply = {}

    def before(self) -> Iterator[int]:
        """How many are before it, each time that changes, until its turn comes or it leaves. Raises Busy."""
        self._join()
        yield from self._line.before(self)

    def next(self) -> str | RagError | None:
        """The next piece, the error that ended it, or None at the end and ever after. Raises Busy."""
        if self._over or self._closed:
            return None
        self._join()
        said = self._inbox.get()
        self._over = not isinstance(said, str)
        return said

    def _join(self) -> None:
        """Takes a place in the line, once. Who has to wait has a thread for it: an asker who looks at its place and
        then at nothing more must not hold up those behind it."""
        with self._lock:
            if self._joined or self._closed:
                return
            self._line.join(self)
            self._joined = True
        if next(self._line.before(self), 0) == 0:
            self._send()
        else:
            threading.Thread(target=self._wait_and_send, name="rag-llm-line", daemon=True).start()

    def _wait_and_send(self) -> None:
        for _ in self._line.before(self):
            pass
        self._send()

    def _send(self) -> None:
        """Sends the request; what fails is told through the inbox."""
        try:
            with self._lock:
                if not self._closed:
                    worker = self._worker()
                    self._sent = worker, worker.ask(self._request, self._hear)
                    return
        except RagError as e:
            self._inbox.put(e)
        self._line.leave(self)

    def _hear(self, reply: Reply | RagError) -> None:
        """Runs in the listening thread."""
        if isinstance(reply, RagError):
            self._line.leave(self)
            self._inbox.put(reply)
        elif "text" in reply:
            self._inbox.put(reply["text"])
        elif "end" in reply:
            self.told = reply["end"]
            self._line.leave(self)
            self._inbox.put(None)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sent = self._sent
        if not self._over:
            self._inbox.put(Cancelled("the answer was stopped"))  # for a thread that waits in next()
        if sent is None:
            self._line.leave(self)
        else:
            sent[0].cancel(sent[1])  # the turn is left when the process says that it has stopped


class _Home:
    """Where the worker of the moment lives; outlives `LlamaLLM` by as long as closing takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self.worker: Supervised | None = None

    def worker_or(self, start: Callable[[], Supervised]) -> Supervised:
        """The living worker, or a new one. Raises ModelDied after `close`."""
        with self._lock:
            if self._closed:
                raise ModelDied("this LLM was closed", "open it again")
            if self.worker is None or not self.worker.alive:
                _wait_for(self.worker)  # its memory is needed
                self.worker = start()
            return self.worker

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self.worker is not None:
                self.worker.end(ModelDied("this LLM was closed", "open it again"))
                _wait_for(self.worker)


def _wait_for(worker: Supervised | None) -> None:
    if worker is not None:
        try:
            worker.join(timeout_s=5.0)
        except TimeoutExpired as e:
            raise ModelError(f"the LLM's old process {worker.pid} does not end", f"kill -9 {worker.pid}") from e


def _checked_window(header: Header, window: int) -> int:
    most = header.trained_window if header.trained_window is not None else 2**20
    if not 64 <= window <= most:
        raise ConfigError(f"llm.window must be from 64 to {most} for {header.path.name}, not {window}")
    return window


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        return physical_cores()
    if not 1 <= threads <= 512:
        raise ConfigError(f"llm.threads must be from 1 to 512, got {threads}", "leave it out: one per physical core")
    return threads


def _template_name(header: Header, name: str) -> str:
    if name != "auto":
        template(name)
        return name
    found = recognise(header.chat_template)
    if found is None:
        raise ConfigError(f"the chat template in {header.path.name} is not known here", "name one: template = 'chatml'")
    return found


def physical_cores() -> int:
    """Physical cores that this process may use; two threads of one core only get in each other's way."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")
    except OSError:
        return allowed
    pairs = {tuple(line for line in cpu.splitlines() if line.startswith(("physical id", "core id"))) for cpu in told}
    cores = len([pair for pair in pairs if len(pair) == 2])
    return min(cores, allowed) if cores else allowed


def _library() -> str:
    try:
        return f"llama-cpp-python {version('llama-cpp-python')}"
    except PackageNotFoundError:
        return "no llama-cpp-python"
