"""A server that is being started again is waited for; what will not pass is told at once, with what to do.

Every request here may be sent twice, so that none that was cut off need be given up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from rag.errors import IndexBusy, IndexError_, RagError
from rag.index.place import Milvus

T = TypeVar("T")

FIRST_S, MOST_S = 0.05, 2.0  # between two tries: twice as long each time, a part of it by chance
LEAST_S = 0.5  # no request is given less

PASSING = frozenset(
    {2, 3, 4, 8, 9}  # unavailable, out of memory, too many requests at the moment
    | {101, 103, 201, 202, 400, 401}  # a collection, a partition or a replica that is not loaded (yet)
    | {500, 501, 503, 600, 601, 602, 901, 902, 903}  # a channel, a segment or a node that is not there (yet)
)
"""Codes of the server (its package merr) that end by themselves."""
NOT_LOADED = frozenset({101, 201})
_SIGNS = ("unavailable", "fail connecting", "failed to connect", "retry timeout", "retry run out", "recovering",
          "not ready", "not loaded", "no available", "channel closed", "connection")  # fmt: skip
_TOKEN = ("unauthenticated", "auth check failure", "permission", "privilege")
_NAME = ("certificate", "ssl")
_TAKEN = "open local milvus failed"


def asked(place: Milvus, act: Callable[[float], T], open_: Callable[[], None], again: Callable[[float], None]) -> T:
    """The answer, for which `place.timeout_s` are waited in all. `open_` raises when nothing may be asked any more;
    `again` lets a collection be asked that is not loaded. Raises IndexBusy, IndexError_."""
    import grpc
    from pymilvus.exceptions import MilvusException

    until, pause = time.monotonic() + place.timeout_s, FIRST_S
    while True:
        open_()
        try:
            return act(max(until - time.monotonic(), LEAST_S))
        except (MilvusException, grpc.RpcError) as error:
            if not passes(error) or time.monotonic() + pause >= until:
                raise told(place, error) from error
            if _code(error) in NOT_LOADED:
                with suppress(MilvusException, grpc.RpcError):  # the next turn says what it is
                    again(max(until - time.monotonic(), LEAST_S))
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, MOST_S)


def passes(error: Exception) -> bool:
    """True if the same request may be answered in a moment."""
    said = _said(error).lower()
    if any(sign in said for sign in (*_TOKEN, *_NAME, _TAKEN)):
        return False
    return _code(error) in PASSING or any(sign in said for sign in _SIGNS)


def told(place: Milvus, error: Exception) -> RagError:
    """What a person reads: what happened where, and what to do."""
    whole = _said(error)
    said, short = whole.lower(), whole[:300]
    if place.file and _TAKEN in said:
        return IndexBusy(
            f"{place} is held by another process, or is no such file", "one process at a time: more need a server"
        )
    if any(sign in said for sign in _TOKEN):
        return IndexError_(f"Milvus at {place} refused the token: {short}", "RAG_MILVUS_TOKEN=user:password")
    if any(sign in said for sign in _NAME):
        return IndexError_(f"Milvus at {place} cannot be trusted: {short}", "index.tls_ca names its authority")
    if passes(error) or "deadline" in said:
        tls = " and has a certificate of an authority that index.tls_ca names" if place.uri.startswith("https") else ""
        return IndexError_(
            f"Milvus at {place} did not answer for {place.timeout_s:g} s: {short}",
            f"see that it runs{tls}, then do the same again: what was acknowledged is there",
        )
    return IndexError_(f"Milvus at {place} refused: {short}", "the server's log says more")


def _said(error: Exception) -> str:
    """The message with those of its causes: what a token or a certificate was refused for stands there only."""
    told: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in told:
        told.append(at)
        at = at.__cause__
    return "; ".join(dict.fromkeys(" ".join(_details(each).split()) for each in told))


def _details(error: BaseException) -> str:
    """Of an answer of gRPC the name of its status and what the server said, without when and where."""
    details = getattr(error, "details", None)
    if not callable(details):
        return str(error)
    return f"{getattr(_code(error), 'name', '')}: {details()}"


def _code(error: BaseException) -> Any:
    code = getattr(error, "code", None)
    return code() if callable(code) else code
