"""An answer that can be shown to somebody else, and checked later, offline: the receipt.

It holds the question, the answer with its claims and quotes, the sha256 of each quoted document, the fingerprints of
models and index, and the time; and the sha256 over all of it as canonical JSON. That hash proves integrity, not origin:
whoever changes a receipt can also make its hash anew. With a secret key (RAG_RECEIPT_KEY) an HMAC stands beside it, and
then only who has the key can make one. Either way each quote is looked up again in the index: a made-up quote is found.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.errors import UsageError
from rag.plain import from_json
from rag.standing import Standing, Stands
from rag.types import Answer, Citation, Document, to_json

SCHEMA = "rag.receipt/1"
MAX_BYTES = 10_000_000
MAKE_ONE = "make one: rag ask ... --receipt FILE"
Receipt = Mapping[str, Any]
Find = Callable[[str], Document]
"""A document by its source id; raises KeyError if it is not there."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One citation of a receipt, looked up again. `now`: where its quote stands now, None if it is stale or gone;
    `changed`: its document is not the one that was quoted, or is gone."""

    citation: Citation
    standing: Standing
    now: Citation | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """What a receipt is worth now.

    `intact`: it is as it was made, by its hash; `authentic`: made with this key, None for a reader without a key;
    `quotes`: each of them looked up, none where it is not intact; `changes`: what else is not as it was. `ok`: intact,
    not inauthentic, and every quote stands in the index: where it was, or moved.
    """

    ok: bool
    intact: bool
    authentic: bool | None
    quotes: tuple[Checked, ...]
    changes: tuple[str, ...]


def make(answer: Answer, find: Find, version: str, key: bytes | None = None, now: float | None = None) -> Receipt:
    """The receipt of an answer. `now`: Unix time, seconds. Raises KeyError if a quoted document is gone."""
    quoted = {c.source.id: c.source for c in answer.citations}
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if now is None else now))
    body = {
        "schema": SCHEMA,
        "made": made,
        "rag": version,
        "question": answer.question,
        "answer": {"outcome": answer.outcome.value, "text": answer.text, "claims": to_json(answer.claims)},
        "documents": [{"source": to_json(source), "sha256": _text_sha256(find(id_))} for id_, source in quoted.items()],
        "models": {k: v for k, v in answer.trace.fingerprints.items() if k != "index"},
        "index": answer.trace.fingerprints.get("index", ""),
    }
    return body | {"seal": _sealed(body, None if key is None else _signed(body, key))}


def verify(
    receipt: Receipt,
    stands: Callable[[Citation], Stands],
    find: Find,
    fingerprints: Mapping[str, str],
    key: bytes | None = None,
) -> Verification:
    """Check the seal, then every quote against the index, offline. Raises UsageError if it is no receipt at all."""
    body = {k: v for k, v in receipt.items() if k != "seal"}
    try:
        if body["schema"] != SCHEMA:
            raise UsageError(f"a receipt of {body['schema']!r} cannot be read", f"this version reads {SCHEMA}")
        seal, signed = receipt["seal"], "hmac_sha256" in receipt["seal"]
        if not isinstance(seal["sha256"], str):
            raise TypeError("its sha256 is no text")
        intact = canonical(seal) == canonical(_sealed(body, seal["hmac_sha256"] if signed else None))
        authentic = None
        if key is not None:  # whoever has a key trusts nothing that is not signed with it: a signature can be cut off
            authentic = signed and hmac.compare_digest(str(seal["hmac_sha256"]).encode(), _signed(body, key).encode())
        quotes = tuple(_checked(c, body["documents"], stands, find) for c in _citations(body)) if intact else ()
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as e:
        raise UsageError("this is no receipt: its parts are not those of one", MAKE_ONE) from e
    standing = all(q.standing in (Standing.HOLDS, Standing.MOVED) for q in quotes)
    changes = _changes(body, fingerprints) if intact else ()
    return Verification(intact and authentic is not False and standing, intact, authentic, quotes, changes)


def key_of(environ: Mapping[str, str]) -> bytes | None:
    """The secret that signs receipts, from RAG_RECEIPT_KEY; None if it is absent or empty."""
    return environ.get("RAG_RECEIPT_KEY", "").encode("utf-8", "surrogateescape") or None


def dump(receipt: Receipt) -> str:
    """The receipt as the text of a file."""
    return json.dumps(receipt, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def load(text: str | bytes) -> Receipt:
    """The receipt in a file's text. Raises UsageError if it is no JSON object, is over 10 MB, or names a key twice:
    two readers of such a file could read two different receipts."""
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"{len(text):,} bytes are over {MAX_BYTES:,}")
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        read = json.loads(plain, object_pairs_hook=_once, parse_constant=_refused)
        if not isinstance(read, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as e:
        raise UsageError(f"this is no receipt: {e}", MAKE_ONE) from e
    return read


def canonical(value: Any) -> bytes:
    """One text for one value: keys sorted, no space, UTF-8, no NaN.

    >>> canonical({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def _sealed(body: Mapping[str, Any], signature: str | None) -> dict[str, str]:
    """The seal: the hash is over the signature too, so that neither can be changed alone."""
    signature_ = {} if signature is None else {"hmac_sha256": signature}
    return {"sha256": hashlib.sha256(canonical({**body, "seal": signature_})).hexdigest(), **signature_}


def _signed(body: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical(body), hashlib.sha256).hexdigest()


def _citations(body: Mapping[str, Any]) -> list[Citation]:
    """Each citation of the claims once, in order. Raises what `verify` names."""
    told = (c for claim in body["answer"]["claims"] for c in claim["citations"])
    return list(dict.fromkeys(from_json(Citation, c) for c in told))


def _checked(
    citation: Citation, documents: Sequence[Mapping[str, Any]], stands: Callable[[Citation], Stands], find: Find
) -> Checked:
    then = next((d["sha256"] for d in documents if d["source"]["id"] == citation.source.id), "")
    standing = stands(citation)
    try:
        changed = _text_sha256(find(citation.source.id)) != then
    except KeyError:
        changed = True
    return Checked(citation, standing.standing, standing.citation, changed)


def _changes(body: Mapping[str, Any], fingerprints: Mapping[str, str]) -> tuple[str, ...]:
    then = {**body["models"], "index": body["index"]}
    return tuple(
        f"{name} is another one: {then[name]} then, {fingerprints[name]} now"
        for name in sorted(then.keys() & fingerprints.keys())
        if then[name] != fingerprints[name]
    )


def _text_sha256(document: Document) -> str:
    """The sha256 of the text as it is indexed, which is what spans point into."""
    return hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest()


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key stands twice in it")
    if any(isinstance(v, float) and not math.isfinite(v) for v in read.values()):
        raise ValueError("a number in it is out of range")
    return read


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
