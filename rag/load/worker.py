"""The process in which files are parsed: `python -P -m rag.load.worker MEMORY_BYTES`, started by child.py.

A line of JSON and then the file's bytes on standard input; 8 bytes of length and then JSON on standard output:

    {"name": "a.docx", "bytes": 1234, "seconds": 120}\n...   -> {"media_type": ..., "title": ..., "text": ..., ...}
    anything that fails                                      -> {"error": [message, hint]}

The kernel holds the limits: address space for good, an alarm that kills for each file, no file may be written. The
process ends when its input closes or its parent is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import DocumentError
from rag.load.child import OVER_MEMORY
from rag.load.kinds import kind_of

_UNNEEDED = {
    "numpy": None,
    "pandas": None,
}  # what the Excel library would import if it could, for nothing that is read


def main() -> None:
    """Answer one request after the other until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints must not be taken for a reply
    memory_bytes = int(sys.argv[1])
    _limit(memory_bytes)
    sys.modules.update(_UNNEEDED)  # type: ignore[arg-type]
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with suppress(BrokenPipeError):
        while line := requests.readline():
            request = json.loads(line)
            _serve(requests, replies, request, memory_bytes)


def _serve(requests: BinaryIO, replies: BinaryIO, request: dict[str, Any], memory_bytes: int) -> None:
    _alarm(request["seconds"])
    try:
        told = _read(requests.read(request["bytes"]), request["name"])
        reply = json.dumps(told, ensure_ascii=False).encode()
    except DocumentError as e:
        reply = json.dumps({"error": [e.message, e.hint]}).encode()
    except MemoryError:
        message = f"it needs more than {memory_bytes >> 20:,} MB of memory to read"
        reply = json.dumps({"error": [message, OVER_MEMORY]}).encode()
    except RecursionError:
        reply = json.dumps({"error": ["it is nested too deep", "it looks like an attack; make the file anew"]}).encode()
    except Exception as e:  # a parser met what its makers did not think of: that costs this file and no other
        message = f"it cannot be understood: {type(e).__name__}: {e}"[:500]
        reply = json.dumps({"error": [message, "it is damaged; save it anew where it was made"]}).encode()
    _alarm(0)
    replies.write(len(reply).to_bytes(8, "little"))
    replies.write(reply)
    replies.flush()


def _read(data: bytes, name: str) -> dict[str, Any]:
    kind = kind_of(data, name)
    parsed = kind.read(data)
    return {
        "media_type": kind.media_type,
        "title": parsed.title,
        "text": parsed.text,
        "marks": [m.flat() for m in parsed.marks],
        "date": parsed.date,
        "dropped": dict(parsed.dropped),
        "notes": parsed.notes,
    }


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not a Unix: the parent's clock alone
        return
    for what, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, hard if what != resource.RLIMIT_AS else most))
    with suppress(OSError):  # Linux: if memory runs out, this process goes first, not the index
        Path("/proc/self/oom_score_adj").write_text("700", "ascii")


def _alarm(seconds: int) -> None:
    """Let the kernel kill this process in `seconds`, whatever it is doing then; 0 calls it off."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _end_with_parent(parent: int) -> None:
    """A second way to notice that the parent is gone: a fork of it may hold our input open."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    main()
