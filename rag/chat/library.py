"""The shelf: which documents there are, and what became of the files that were dropped on it."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rag.chat.show import UNEXPECTED, esc
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.add import Progress, Report
    from rag.index import SourceRow

MAX_FILE_MB = 100
MAX_FILES = 500
_UNSAFE = re.compile(r"[^\w .()+,&-]+")

# What can be asked of the two texts that come with the project, by file name; shown while they are in the library.
_EXAMPLES = {
    "001_6b10a84c2a205f2b.txt": (
        "How many cherry trees will Japan give to the United States?",
        "What tariff did the July trade agreement set?",
    ),
    "000_1844cf143683c153.txt": (
        "Which missiles will Washington deliver sooner to Japan?",
        "Why is Takaichi's government under pressure?",
    ),
}


def empty(rows: Sequence[SourceRow]) -> str:
    """What the page shows before the first question."""
    if not rows:
        invitation = "Your library is empty. Open <b>Library</b> above and drop in the documents to question."
    else:
        invitation = (
            f"{_count(len(rows), 'document')} in your library. Every answer shows the very words that back it: "
            "click a number to see them in their place."
        )
    asks = "".join(f'<button type="button" class="example">{esc(text)}</button>' for text in examples(rows))
    listed = f'<div class="examples" aria-label="Example questions">{asks}</div>' if asks else ""
    return f'<div class="empty"><h1>What do you want to know?</h1><p>{invitation}</p>{listed}</div>'


def examples(rows: Iterable[SourceRow]) -> list[str]:
    """Questions that fit these documents, none where nothing is known of them."""
    names = [file_name(row.source.uri) for row in rows]
    return [text for name in sorted(names, reverse=True) for text in _EXAMPLES.get(name, ())]


def shelf(rows: Sequence[SourceRow]) -> str:
    """The list of documents: a tick that says whether to look into it, a button that removes it (asked twice)."""
    items = "".join(
        f'<li><label class="title"><input type="checkbox" checked data-tick="{esc(row.source.id)}">'
        f'<span dir="auto">{esc(row.source.title)}</span></label>'
        f"<small>{_size(row.characters)} &middot; {_count(row.passages, 'passage')} &middot; {_day(row.added)}</small>"
        f'<button type="button" class="plain remove" data-id="{esc(row.source.id)}"'
        f' aria-label="Remove {esc(row.source.title)}">Remove</button></li>'
        for row in rows
    )
    return f'<h2>Library</h2><ul class="shelf-list">{items or "<li>No documents yet.</li>"}</ul>'


def progress(now: Progress) -> str:
    """How far an `add` is."""
    bar = f'<progress max="{now.total}" value="{now.done}"></progress>'
    return f'<div class="report" role="status">Reading <bdi>{esc(file_name(now.uri))}</bdi>{bar}</div>'


def report(done: Report) -> str:
    """What became of each file; refusals with their reason."""
    counts = ((done.added, "added"), (done.changed, "changed"), (done.unchanged, "already there"))
    said = ", ".join(f"<b>{len(uris)}</b> {word}" for uris, word in counts if uris) or "Nothing added"
    refused = "".join(f"<li><bdi>{esc(file_name(uri))}</bdi>: {esc(why)}</li>" for uri, why in done.refused)
    why_not = f"<p>Refused:</p><ul>{refused}</ul>" if refused else ""
    return f'<div class="report" role="status"><p>{said}.</p>{why_not}</div>'


def trouble(error: Exception) -> str:
    """An error over the shelf, in one sentence with its cure."""
    if isinstance(error, RagError):
        said = f'{esc(error.message)} <span class="hint">{esc(error.hint)}</span>'
    else:
        said = UNEXPECTED
    return f'<div class="report error" role="alert">{said}</div>'


def keep(uploads: Iterable[str], folder: Path) -> list[Path]:
    """Copy uploaded files to `folder`/<sha256>/<name>: the same bytes always land in the same place, and a hostile name
    can do nothing (it is reduced to letters, digits and a few signs)."""
    kept = []
    for upload in map(Path, uploads):
        with upload.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        place = folder / digest / safe_name(upload.name)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(upload, place)
        kept.append(place)
    return kept


def safe_name(name: str) -> str:
    """A file name without surprises, its suffix kept.

    >>> safe_name("../../<img onerror>.txt")
    'img onerror.txt'
    """
    path = Path(name)
    stem, suffix = (_UNSAFE.sub("", part) for part in (path.stem, path.suffix))
    return (stem.strip(" .")[:80] or "document") + suffix[:10]


def file_name(uri: str) -> str:
    """The last part of a path or address, as a person wrote it."""
    return unquote(re.split(r"[/\\]", uri.rstrip("/"))[-1])


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _size(characters: int) -> str:
    return f"{characters:,} characters" if characters < 10_000 else f"{characters / 1000:,.0f}k characters"


def _day(unix: float) -> str:
    return time.strftime("%-d %b %Y", time.localtime(unix))
