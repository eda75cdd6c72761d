"""What is noted of the server, on stderr: one JSON line each, and never a word of a question, a document or a token.

What goes wrong in code that nobody foresaw carries text in its message (`KeyError: 'the whole document'`), and so may
what other libraries say. Therefore of an error only its type and the lines of code it went through are told, and of
another library's note only who said it and where.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag.errors import RagError

OURS = "rag"
OPEN = "uvicorn.error"
"""The one library whose sentences are told, as it wrote them in its code: `Invalid HTTP request received.`"""
MOST_FRAMES = 30


def begin(requests: bool) -> None:
    """Note on stderr what goes wrong, wherever in this process; every request too, if that is asked for."""
    noting = logging.StreamHandler(sys.stderr)
    noting.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[noting], force=True)
    logging.captureWarnings(True)
    logging.getLogger("rag.serve").setLevel(logging.INFO if requests else logging.WARNING)
    log = logging.getLogger("rag.serve.threads")
    threading.excepthook = lambda told: failed(log, {"message": "a thread failed"}, told.exc_value)
    sys.unraisablehook = lambda told: failed(log, {"message": "an end was not clean"}, told.exc_value)


def failed(log: logging.Logger, told: Mapping[str, Any], error: BaseException | None) -> None:
    """Note an error that nobody foresaw."""
    log.error(json.dumps({**told, **anatomy(error)}))


def unforeseen(error: Exception) -> RagError:
    """An error of code that nobody foresaw, as it is told: without its message, which may quote a document."""
    return RagError(f"something went wrong: {type(error).__name__}")


def anatomy(error: BaseException | None) -> dict[str, Any]:
    """The type of an error, and the lines of code that it went through, the innermost last; then the same of the error
    that it came from. Nothing of its message.

    >>> anatomy(ValueError("a secret"))
    {'error': 'ValueError', 'frames': []}
    """
    if error is None:
        return {}
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    told = {"error": type(error).__name__, "frames": [_place(f.filename, f.lineno, f.name) for f in frames]}
    return told | ({} if error.__cause__ is None else {"from": anatomy(error.__cause__)})


class Lines(logging.Formatter):
    """A note as one line of JSON: time, level, and what was noted, which is JSON already or a sentence of ours."""

    def format(self, record: logging.LogRecord) -> str:
        """The line.

        >>> Lines().format(logging.LogRecord("rag", logging.INFO, "", 0, '{"status": 200}', (), None))[-31:]
        '"level": "info", "status": 200}'
        """
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        told = {"time": at, "level": record.levelname.lower(), **_said(record)}
        if record.exc_info:
            told |= anatomy(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False)


def _said(record: logging.LogRecord) -> dict[str, Any]:
    if record.name.partition(".")[0] == OURS:
        said = record.getMessage()
        told: dict[str, Any] = json.loads(said) if said.startswith("{") else {"message": said}
        return told
    told = {"logger": record.name, "at": _place(record.pathname, record.lineno, record.funcName)}
    return told | ({"message": str(record.msg).strip()} if record.name == OPEN else {})


def _place(file: str, line: int | None, function: str) -> str:
    """A line of code, by the last three parts of its file's path: where this computer keeps it is nobody's business."""
    return f"{'/'.join(Path(file).parts[-3:])}:{line} {function}"
