"""The project's own reader: one small cross-encoder that has read the question before it reads the text.

    question, text  ->  windows of whole sentences  ->  the network  ->  logits per token  ->  a `Reading`

Its scores are log-odds against a null fixed at 0 (models/trained/reader/model.py), so they may be compared across texts
and calls. Each window goes through the network alone: a CPU's cache likes it better than batches, and what a text
scores does not depend on its neighbours, which a batch with dynamic int8 ranges would not give.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelDamaged, ModelMissing
from rag.read import Reading, Short
from rag.runtime import session
from rag.text import sentences
from rag.types import Span

Floats = NDArray[np.float32]
Calibration = Mapping[str, Mapping[str, float]]
"""By "sentence" and "text": the weights of evidence, spans and relevance, and a bias, of a logistic."""
_RAW = {kind: {"evidence": 0.5, "spans": 0.5, "relevance": 0.0, "bias": 0.0} for kind in ("sentence", "text")}
_QUESTION = 96  # tokens; what is beyond adds nothing to what is asked
_ROOM = 200  # text tokens of one window: the passages of the product fit, and training saw at most 150
_OVERLAP = 64  # text tokens that a window repeats of the one before, in whole sentences
_CLS, _SEP = 101, 102
_EDGES = " \t\r\n.,;:!?\"'“”‘’«»()[]{}-–—*_`"
_LOWEST = -30.0  # the score where there is nothing to read


@dataclass(frozen=True, slots=True)
class Scored:
    """A sentence and the raw log-odds of it: `evidence`, `spans` (all short answers in it together), the best one,
    and how far that is ahead of the next that it shares no token with."""

    span: Span
    evidence: float
    spans: float
    best: Span | None
    best_score: float
    lead: float = math.inf


@dataclass(frozen=True, slots=True)
class Scores:
    """The network's view of one text, before calibration."""

    relevance: float
    sentences: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tokens [low, high) of a text that belong to sentence number `owner`; long sentences have several."""

    owner: int
    low: int
    high: int


class TrainedReader:
    """`folder` holds reader.onnx and reader.json, `tokenizer` is the tokenizer.json of all-MiniLM-L6-v2.

    Raises ModelMissing, or ModelDamaged where the file is not the one whose hash reader.json gives.
    """

    name = "trained"

    def __init__(self, folder: Path, tokenizer: Path, threads: int = 2) -> None:
        card, model = _checked(folder)
        from tokenizers import Tokenizer

        self._session = session(model)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pool = ThreadPoolExecutor(threads if threads > 0 else os.cpu_count() or 1, "reader")
        self._longest = int(card["longest_answer"])
        self._calibration: Calibration = card.get("calibration", _RAW)
        self.fingerprint = f"trained@{card['sha256'][:12]}"

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One `Reading` per text. Calibrated: the logistic of a sentence's score is the chance that it answers, of
        `best_score - null` that the text does; a text without words scores `_LOWEST` throughout."""
        return [self.reading(scores) for scores in self.scores(question, texts)]

    def scores(self, question: str, texts: Sequence[str]) -> list[Scores]:
        """The raw log-odds, one `Scores` per text: what calibration starts from."""
        asked = self._tokenizer.encode(_encodable(question), add_special_tokens=False).ids[:_QUESTION]
        encoded = self._tokenizer.encode_batch([_encodable(t) for t in texts], add_special_tokens=False)
        places = [np.array(e.offsets, np.int64).reshape(-1, 2) for e in encoded]
        spans = [sentences(text) for text in texts]
        cut = [_windows(_pieces(at, some)) for at, some in zip(places, spans, strict=True)]
        jobs = [(asked, e.ids[w[0].low : w[-1].high]) for e, windows in zip(encoded, cut, strict=True) for w in windows]
        outputs = iter(self._pool.map(self._run, jobs))
        return [
            self._merged(text, at, some, [(w, *next(outputs)) for w in windows])
            for text, at, some, windows in zip(texts, places, spans, cut, strict=True)
        ]

    def _run(self, job: tuple[list[int], list[int]]) -> tuple[Floats, Floats]:
        """Logits (tokens, 3) of the text's tokens and (2,) of the pair."""
        asked, ids = job
        row = np.array([[_CLS, *asked, _SEP, *ids, _SEP]], np.int64)
        types = (np.arange(row.shape[1]) >= len(asked) + 2).astype(np.int64)[None]
        tokens, pair = self._session.run(None, {"ids": row, "types": types, "mask": np.ones_like(row)})
        return tokens[0, len(asked) + 2 : -1], pair[0]

    def _merged(
        self,
        text: str,
        at: NDArray[np.int64],
        spans: Sequence[Span],
        read: Sequence[tuple[list[_Piece], Floats, Floats]],
    ) -> Scores:
        """The best that any window says of each sentence, and of the text."""
        found: dict[int, Scored] = {}
        for window, tokens, pair in read:
            for piece in window:
                new = self._sentence(text, at, spans[piece.owner], piece, tokens, window[0].low, float(pair[0]))
                old = found.get(piece.owner)
                found[piece.owner] = new if old is None else _better(old, new)
        relevance = max((float(pair[1]) for _, _, pair in read), default=_LOWEST)
        return Scores(relevance, tuple(found[n] for n in sorted(found)))

    def _sentence(
        self, text: str, at: NDArray[np.int64], span: Span, piece: _Piece, tokens: Floats, offset: int, bias: float
    ) -> Scored:
        part = tokens[piece.low - offset : piece.high - offset].astype(np.float64)
        size = len(part)
        table = part[:, 0][:, None] + part[:, 1][None, :] + bias
        reach = np.arange(size)[None, :] - np.arange(size)[:, None]
        table[(reach < 0) | (reach >= self._longest)] = -np.inf
        first, last = np.unravel_index(int(table.argmax()), table.shape)
        place = Span(int(at[piece.low + first, 0]), int(at[piece.low + last, 1]))
        top = float(table.max())
        mass = top + math.log(float(np.exp(table - top).sum()))
        best = _trimmed(text, Span(max(place.start, span.start), min(place.end, span.end)))
        apart = (np.arange(size)[:, None] > last) | (np.arange(size)[None, :] < first)
        lead = top - float(table[apart].max(initial=-np.inf))
        return Scored(span, float(part[:, 2].mean()), mass, best, top, lead)

    def reading(self, scores: Scores, calibration: Calibration | None = None) -> Reading:
        """One text's scores under these constants (None: those of reader.json). The best short answer is the one whose
        own score and whose sentence's score are highest together."""
        calibration = self._calibration if calibration is None else calibration
        if not scores.sentences:
            return Reading(_LOWEST, (), None, _LOWEST, 0.0)
        sentence, text = calibration["sentence"], calibration["text"]
        scored = [_weighed(sentence, s.evidence, s.spans, scores.relevance) for s in scores.sentences]
        together = _log_sum([s.spans for s in scores.sentences])
        best_score = _weighed(text, max(s.evidence for s in scores.sentences), together, scores.relevance)
        best = max(zip(scores.sentences, scored, strict=True), key=lambda both: both[0].best_score + both[1])[0].best
        spans = [s.span for s in scores.sentences]
        answers = tuple(Short(s.best, s.best_score, s.lead) if s.best is not None else None for s in scores.sentences)
        return Reading(scores.relevance, tuple(zip(spans, scored, strict=True)), best, best_score, 0.0, answers)


def _weighed(weights: Mapping[str, float], evidence: float, spans: float, relevance: float) -> float:
    """A calibrated logit from the three heads."""
    held = (("evidence", evidence), ("spans", spans), ("relevance", relevance))
    return weights["bias"] + sum(weights[name] * max(-20.0, min(20.0, value)) for name, value in held)


def _checked(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The card and the model's bytes, which are the ones that the card names."""
    try:
        card = json.loads((folder / "reader.json").read_text("utf-8"))
        model = (folder / "reader.onnx").read_bytes()
    except FileNotFoundError as e:
        raise ModelMissing(
            f"the trained reader is not there: {e.filename}", "python models/trained/reader/train.py"
        ) from e
    except ValueError as e:
        raise ModelDamaged(f"{folder / 'reader.json'} cannot be read: {e}", "install the package again") from e
    if hashlib.sha256(model).hexdigest() != card.get("sha256"):
        raise ModelDamaged(
            f"{folder / 'reader.onnx'} is not the file that reader.json names", "install the package again"
        )
    return card, model


def _encodable(text: str) -> str:
    """Lone surrogates cannot be encoded; one mark for each keeps every position."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _pieces(at: NDArray[np.int64], spans: Sequence[Span]) -> list[_Piece]:
    """The tokens of each sentence, in pieces that fit a window; sentences without tokens have none."""
    pieces = []
    for n, span in enumerate(spans):
        low, high = np.searchsorted(at[:, 0], [span.start, span.end]).tolist()
        while high - low > _ROOM:
            pieces.append(_Piece(n, low, low + _ROOM))
            low += _ROOM - _OVERLAP
        if high > low:
            pieces.append(_Piece(n, low, high))
    return pieces


def _windows(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Runs of pieces of at most _ROOM tokens; each repeats the end of the one before as far as _OVERLAP allows."""
    windows = []
    start = 0
    while start < len(pieces):
        stop = start + 1
        while stop < len(pieces) and pieces[stop].high - pieces[start].low <= _ROOM:
            stop += 1
        windows.append(list(pieces[start:stop]))
        if stop == len(pieces):
            break
        following = stop
        while (
            following - 1 > start
            and pieces[stop].high - pieces[following - 1].low <= _ROOM
            and (pieces[stop].low - pieces[following - 1].low <= _OVERLAP)
        ):
            following -= 1
        start = following
    return windows


def _better(one: Scored, two: Scored) -> Scored:
    """What two windows say of one sentence: the higher of each."""
    best = one if one.best_score >= two.best_score else two
    evidence, spans = max(one.evidence, two.evidence), max(one.spans, two.spans)
    return Scored(one.span, evidence, spans, best.best, best.best_score, best.lead)


def _trimmed(text: str, span: Span) -> Span | None:
    """The span without the marks around it, but for a bracket or quote that closes one inside; None if it is empty."""
    start, end = span.start, span.end
    while start < end and text[start] in _EDGES and not (text[start] in "-–" and text[start + 1 : start + 2].isdigit()):
        start += 1
    while end > start and text[end - 1] in _EDGES and not (text[end - 1] == ")" and "(" in text[start:end]):
        end -= 1
    if start < end:
        return Span(start, end)
    return span if len(span) else None


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))
