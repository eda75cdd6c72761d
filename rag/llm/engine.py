"""llama.cpp itself: one model, one context, one owner. Only the worker process (rag/llm/worker.py) comes in here.

Same prompt, same text, whatever was asked before: a prompt is computed in strides of 128 tokens, counted from its
beginning and again from its joint (where its last message begins, so that what is the same in every prompt ends a
stride), and only strides that are token for token the same are taken from the cache. So every number is computed by the
same operations on the same shapes, cached or not. (Flash attention is off: with it the sums depend on the shape of the
batch, up to 0.7 in a logit; on a CPU it is no faster.)

Two threads on one context kill the process; the tokeniser alone is read-only and may be used beside it.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelDamaged, ModelError, PromptTooLong
from rag.llm.templates import Piece

STRIDE = 128  # tokens; as fast as 512, and most last messages are one; cancelling is noticed at once all the same
_ERROR = 4  # ggml_log_level


class Stopped(Exception):
    """The asker went away while the prompt was computed."""


class Engine:
    """A loaded model. `beat()` is called about every second while a prompt is computed and returns True to stop."""

    def __init__(self, path: str, window: int, threads: int, beat: Callable[[], bool]) -> None:
        import llama_cpp

        self._cpp: Any = llama_cpp
        self._complaint = ""
        self._logger = llama_cpp.llama_log_callback(self._log)  # kept: the library holds only a pointer to it
        llama_cpp.llama_log_set(self._logger, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise ModelDamaged(
                f"llama.cpp cannot load {path}: {self._complaint or 'no reason given'}", "fetch it again"
            )
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._words = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.window = window
        self._context = self._open(window, threads)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(STRIDE, 0, 1)
        self._cached: list[int] = []
        self._cuts: list[int] = []  # where the strides of what is cached end
        self._beat = beat
        self._stop = False
        self._beaten = 0.0
        self._abort = llama_cpp.ggml_abort_callback(self._aborted)
        self._no_abort = llama_cpp.ggml_abort_callback()

    def _open(self, window: int, threads: int) -> Any:
        params = self._cpp.llama_context_default_params()
        params.n_ctx = window
        params.n_batch = params.n_ubatch = STRIDE
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = 0
        params.no_perf = True
        context = self._cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelError(f"no memory for a window of {window} tokens: {self._complaint}", "choose a smaller window")
        return context

    def _log(self, level: int, text: bytes, _user: object) -> None:
        if level == _ERROR:
            self._complaint = text.decode("utf-8", "replace").strip()
            print(self._complaint, file=sys.stderr, flush=True)

    # --- tokens: safe beside a running answer ---

    def tokens(self, pieces: Sequence[Piece]) -> list[int]:
        """The prompt's tokens. Raises ModelError where a control string is no single token of this model."""
        found: list[int] = []
        for text, control in pieces:
            ids = self._tokenise(text, control)
            if control and len(ids) != 1:
                raise ModelError(f"the chat template does not fit this model: {text!r} is none of its control tokens")
            found += ids
        return found

    def _tokenise(self, text: str, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = (self._cpp.llama_token * (len(data) + 8))()
        count = self._cpp.llama_tokenize(self._vocab, data, len(data), room, len(room), False, special)
        if count < 0:
            raise ModelError(f"llama.cpp cannot tokenise a text of {len(data)} bytes")
        return list(room[:count])

    def _bytes_of(self, token: int) -> bytes:
        size = 64
        while True:
            room = ctypes.create_string_buffer(size)
            count = self._cpp.llama_token_to_piece(self._vocab, token, room, size, 0, False)
            if count >= 0:
                return room.raw[:count]
            size = -count

    # --- the context: the owner's thread only ---

    def write(self, prompt: Sequence[int], max_tokens: int, joint: int = 0) -> Iterator[bytes]:
        """The bytes of the likeliest continuation, token by token, until the model ends its turn or `max_tokens`.
        `joint`: tokens before the prompt's last message.

        Raises PromptTooLong before anything is computed, Stopped if `beat` says so while the prompt is."""
        if len(prompt) + max_tokens > self.window:
            raise PromptTooLong(
                f"a prompt of {len(prompt)} tokens and an answer of {max_tokens} are over the window of {self.window}",
                "ask a shorter question, or choose a larger llm.window",
            )
        if not prompt:
            raise ModelError("an empty prompt")
        logits = self._prefill(prompt, joint)
        for at in range(len(prompt), len(prompt) + max_tokens):
            token = int(np.argmax(logits))
            if np.isnan(logits[token]):
                raise ModelDamaged("the model computes what is no number: its file is damaged", "rag models check")
            if self._cpp.llama_vocab_is_eog(self._vocab, token) or self._cpp.llama_vocab_is_control(self._vocab, token):
                return
            yield self._bytes_of(token)
            logits = self._decode([token], at, last_only=True)[0]

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], joint: int = 0) -> list[float]:
        """The natural logarithm of the probability of each continuation, 0 or less; longer ones are not helped."""
        longest = max((len(c) for c in continuations), default=0)
        if len(prompt) + longest > self.window:
            raise PromptTooLong(f"a prompt of {len(prompt)} tokens and {longest} are over the window of {self.window}")
        first = _log_softmax(self._prefill(prompt, joint))
        scores = []
        for tokens in continuations:
            scores.append(self._score_one(len(prompt), first, tokens))
            if not self._forget(len(prompt)):
                self._prefill(prompt, joint)
        return scores

    def _score_one(self, at: int, first: NDArray[np.float64], tokens: Sequence[int]) -> float:
        total, before = 0.0, first
        for start in range(0, len(tokens), STRIDE):
            part = tokens[start : start + STRIDE]
            rows = [before, *map(_log_softmax, self._decode(part, at + start, last_only=False))]
            total += float(sum(row[token] for row, token in zip(rows, part, strict=False)))
            before = rows[-1]
        return total

    def reused(self, prompt: Sequence[int], joint: int = 0) -> int:
        """How many of the prompt's first tokens need not be computed again: whole strides, never all."""
        start = 0
        for cut, cached in zip(_cuts(len(prompt), joint), self._cuts, strict=False):
            if cut != cached or cut == len(prompt) or list(prompt[start:cut]) != self._cached[start:cut]:
                break
            start = cut
        return start

    def _prefill(self, prompt: Sequence[int], joint: int) -> NDArray[np.float32]:
        """Computes the prompt, as far as it is not cached; the logits after its last token."""
        start = self.reused(prompt, joint)
        if not self._forget(start):
            start = 0
        del self._cached[start:]
        self._cuts = [cut for cut in self._cuts if cut <= start]
        self._stop, self._beaten = False, time.monotonic()
        self._cpp.llama_set_abort_callback(self._context, self._abort, None)
        try:
            for cut in _cuts(len(prompt), joint)[len(self._cuts) :]:
                part = list(prompt[start:cut])
                logits = self._decode(part, start, last_only=True)[0]
                self._cached += part
                self._cuts.append(cut)
                start = cut
        finally:
            self._cpp.llama_set_abort_callback(self._context, self._no_abort, None)
        return logits

    def _decode(self, tokens: Sequence[int], at: int, last_only: bool) -> list[NDArray[np.float32]]:
        """Computes `tokens` at position `at`; the logits after the last, or after each of them."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, at + i, 1, 0
            batch.logits[i] = not last_only or i == len(tokens) - 1
        code = self._cpp.llama_decode(self._context, batch)
        if code != 0:
            self._forget(at)
            if self._stop:
                raise Stopped
            raise ModelError(f"llama.cpp cannot go on: llama_decode returned {code}. {self._complaint}")
        wanted = [len(tokens) - 1] if last_only else range(len(tokens))
        rows = [self._cpp.llama_get_logits_ith(self._context, i) for i in wanted]
        return [np.ctypeslib.as_array(row, (self._words,)).copy() for row in rows]

    def _forget(self, start: int) -> bool:
        """Drops the cache from position `start` on; False if this model can only drop it all, which was then done."""
        if self._cpp.llama_memory_seq_rm(self._memory, 0, start, -1):
            return True
        self._cpp.llama_memory_clear(self._memory, True)
        self._cached.clear()
        self._cuts.clear()
        return False

    def _aborted(self, _user: object) -> bool:
        """Asked by llama.cpp between any two operations of a prefill."""
        if time.monotonic() - self._beaten > 0.02:
            self._beaten = time.monotonic()
            self._stop = self._beat()
        return self._stop


def _cuts(length: int, joint: int) -> list[int]:
    """Where the strides of a prompt end: every 128 tokens from its beginning to its joint, and from there to its end.

    >>> _cuts(400, joint=200)
    [128, 200, 328, 400]
    """
    return [*range(STRIDE, joint, STRIDE), *([joint] if joint else []), *range(joint + STRIDE, length, STRIDE), length]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64) - float(logits.max())
    shifted: NDArray[np.float64] = wide - np.log(np.exp(wide).sum())
    return shifted
