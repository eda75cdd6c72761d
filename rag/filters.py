"""Which documents to look in: the one value that every door makes and that travels down to the index as it is.

Standard library only: this is the ground floor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DAY = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents to look in: all that is given must hold. None gives nothing, an empty tuple lets nothing pass.

    `sources`: ids; `types`: media types, 'text/*' for all of a kind; `collections`: names; `since` and `until`: first
    and last day, 'YYYY-MM-DD', or a whole month or year, of the message (in a mailbox) or the document's own date, else
    of its file's last change.

    >>> Filter(types=("application/pdf",), since="2024-03", until="2025")
    Filter(sources=None, types=('application/pdf',), collections=None, since='2024-03', until='2025')
    """

    sources: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    collections: tuple[str, ...] | None = None
    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        for day in (self.since, self.until):
            if day and not _DAY.fullmatch(day):
                raise ValueError(f"{day!r} is no day: for example 2025-03-31, 2025-03 or 2025")
