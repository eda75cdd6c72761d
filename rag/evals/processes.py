"""A process and all that it started, seen from outside, on Linux: memory, open files, whether the model works. And a
port for one that listens."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LOOK_S, QUIET_S, PATIENCE_S = 0.02, 0.4, 30.0
WORKER = b"rag.llm.worker"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> set[int]:
    """The process and its descendants, of whichever thread."""
    found = {pid}
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ended meanwhile
            for child in file.read_text().split():
                found |= tree(int(child))
    return found


def workers(pid: int) -> set[int]:
    """Those of them that hold a language model."""
    return {one for one in tree(pid) if WORKER in Path(f"/proc/{one}/cmdline").read_bytes()}


def megabytes(pids: Iterable[int]) -> float:
    """In memory, together."""
    status = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(kb) for one in status for kb in re.findall(r"VmRSS:\s+(\d+)", one)) / 1000


def handles(pids: Iterable[int]) -> int:
    """Open files, sockets and pipes, together."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208 - links that come and go


def until_idle_s(pids: Iterable[int]) -> float:
    """Seconds until they took processor time for the last time, before QUIET_S without; at most PATIENCE_S."""
    pids = list(pids)
    start = last = time.monotonic()
    before = _ticks(pids)
    while time.monotonic() - last < QUIET_S and time.monotonic() - start < PATIENCE_S:
        time.sleep(LOOK_S)
        if (now := _ticks(pids)) != before:
            before, last = now, time.monotonic()
    return last - start


def _ticks(pids: Iterable[int]) -> int:
    """Processor time so far, in hundredths of a second."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in fields)
