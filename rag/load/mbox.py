"""A mailbox (MBOX): many messages in one file, each parted from the next by a line that begins with 'From '."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from email.utils import format_datetime, parsedate

from rag.errors import DocumentError
from rag.load.draft import Draft, Parsed
from rag.load.mail import day, message_of, write

_FROM = re.compile(rb"(?:\A|\r?\n)From [^\r\n]{1,200}\d{4}[^\r\n]{0,50}\r?\n(?=[!-9;-~]+:)")
_QUOTED = re.compile(rb"(?m)^>(>*From )")


def parse(data: bytes) -> Parsed:
    """Every message under its own mark; the date is that of the newest. Raises DocumentError: no message in it."""
    data = data.lstrip()
    starts = list(_FROM.finditer(data))
    if not starts:
        raise DocumentError("it is no mailbox", "each message of a mailbox begins with a line 'From ...'")
    draft, days = Draft(), []
    if before := starts[0].start():
        draft.dropped["bytes before the first message"] += before
    for found, end in zip(starts, [*(s.start() for s in starts[1:]), len(data)], strict=True):
        message = message_of(_QUOTED.sub(rb"\1", data[found.end() : end]))
        if not day(message):  # then when it was delivered
            del message["Date"]
            message["Date"] = _delivered(found.group())
        write(draft, message, 0)
        days.append(day(message))
    return draft.done("", max(days, default=""))


def _delivered(line: bytes) -> str:
    """The date of a line 'From SENDER Mon Mar  4 10:00:00 2024' as a header has it; '' if there is none.

    >>> _delivered(b"From ada@example.org Mon Mar  4 10:00:00 2024\\n")
    'Mon, 04 Mar 2024 10:00:00 -0000'
    """
    told = parsedate(line.decode("latin-1").split(maxsplit=2)[-1])
    with suppress(ValueError):
        return format_datetime(datetime(*told[:6])) if told else ""
    return ""
