"""A worker process of this machine: `python -P -m rag.spread.worker`, started by processes.py.

8 bytes of length and a pickle, both ways: first the rules, answered by None or an error; then (verb, payload),
answered by (value, steps) or an error. Both ends are the same user's processes on one pipe: nobody else can write to
it. The process ends when its input closes.
"""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import suppress
from typing import Any, BinaryIO


def main() -> None:
    """Answer one request after the other until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints must not be taken for a reply
    with suppress(BrokenPipeError, EOFError):
        try:
            from rag.spread.work import hands_of

            hands = hands_of(_receive(requests))
        except EOFError:
            return
        except Exception as error:
            _send(replies, error)
            return
        _send(replies, None)
        while True:
            verb, payload = _receive(requests)
            try:
                reply: Any = hands.do(verb, payload)
            except Exception as error:  # for the parent to judge
                reply = error
            _send(replies, reply)


def _receive(requests: BinaryIO) -> Any:
    size = requests.read(8)
    if len(size) < 8:
        raise EOFError
    return pickle.loads(requests.read(int.from_bytes(size, "little")))


def _send(replies: BinaryIO, value: Any) -> None:
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # an error that cannot travel is told in words
        data = pickle.dumps(RuntimeError(f"{type(value).__name__}: {value}"))
    replies.write(len(data).to_bytes(8, "little"))
    replies.write(data)
    replies.flush()


if __name__ == "__main__":
    main()
