"""The commands about documents: add, watch, show, check, remove, rename."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

from rag.cli.shared import Index, Json, Set, app, bar, opened, print_json
from rag.errors import UsageError
from rag.load import FORMATS, seen
from rag.types import Span

if TYPE_CHECKING:
    from rag.add import Report
    from rag.index import CheckReport

_MOST_NOTES = 20

Exclude = Annotated[
    list[str],
    typer.Option(help="Pass these over, as a line of a .gitignore does: 'drafts/', '*.log'. May be repeated."),
]


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help=f"Files and folders: {FORMATS}.")],
    mirror: Annotated[bool, typer.Option(help="Remove documents that were under these folders and are gone.")] = False,
    collection: Annotated[str | None, typer.Option(help="Put them into this named set of documents.")] = None,
    exclude: Exclude = [],  # noqa: B006 - typer copies it
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="N", help="Read and embed in N processes of this machine.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Read and embed on this Dask cluster: tls://host:8786, tcp://127.0.0.1:8786."
        ),
    ] = None,
    index: Index = None,
    set_: Set = [],  # noqa: B006 - typer copies it
    as_json: Json = False,
) -> None:
    """Bring files and folders into the index. Unchanged files cost a look; run it again whenever you like.

    The index is the same with --workers or --cluster as without.

    Example: rag add seeds/ ~/notes report.pdf
    """
    with opened(index, set_, write=True) as assistant, bar("indexing", as_json) as progress:
        report = assistant.add(
            paths,
            mirror=mirror,
            collection=collection,
            exclude=exclude,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    print_json(report) if as_json else _print_report(report)
    if report.refused and not (report.added or report.changed or report.unchanged):
        raise typer.Exit(3)


@app.command()
def watch(
    folders: Annotated[list[Path], typer.Argument(help="Folders that the index is to follow.")],
    collection: Annotated[str | None, typer.Option(help="Put them into this named set of documents.")] = None,
    exclude: Exclude = [],  # noqa: B006
    poll: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Look at every file this often (network folders).")
    ] = None,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Keep the index in step with folders (new, changed, moved and deleted files) until Ctrl-C.

    Questions go on meanwhile, also in a chat page that was started after it. Example: rag watch ~/notes
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped ends as by Ctrl-C
    with opened(index, set_, write=True) as assistant, suppress(KeyboardInterrupt):
        watching = assistant.watch(folders, _print_report, collection=collection, exclude=exclude, poll_s=poll)
        trouble = ""
        while True:
            if watching.trouble != trouble:
                trouble = watching.trouble
                print(f"trouble: {trouble}" if trouble else "going on", file=sys.stderr, flush=True)
            time.sleep(0.2)
    print("stopped; what was acknowledged is kept")


@app.command()
def show(
    source: Annotated[str | None, typer.Argument(help="A document's id, title, or uri; none: list them all.")] = None,
    at: Annotated[str | None, typer.Option(help="Only this span, START:END in characters, as in a citation.")] = None,
    collections: Annotated[bool, typer.Option("--collections", help="The named sets of documents.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """What the index holds, or one document's text exactly as it was indexed."""
    with opened(index, set_) as assistant:
        if collections:
            sets = assistant.collections()
            if as_json:
                print_json(sets)
            else:
                for each in sets:
                    print(f"{each.documents:>6} documents  {each.passages:>8} passages  {each.name}")
            return
        if source is None:
            rows = assistant.sources()
            if as_json:
                print_json(rows)
            else:
                for row in rows:
                    size = f"{row.passages:>6} passages  {row.characters:>9,} characters"
                    print(f"{row.source.id}  {size}  {row.dated}  {row.collection}  {row.source.title}")
            return
        document = assistant.document(assistant.named(source))
        if as_json:
            print_json(document)
        else:
            print(_span(at, len(document.text)).of(document.text))


@app.command()
def check(index: Index = None, set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Prove every passage against its document and every vector against its row; rebuild what can be rebuilt."""
    with opened(index, set_, write=True) as assistant:
        report = assistant.check()
        print_json(report) if as_json else _print_check(report)
        if not report.ok:
            raise typer.Exit(4)


@app.command()
def reindex(index: Index = None, set_: Set = []) -> None:  # noqa: B006
    """Make the index anew, from its own texts, for another embedder or passage size. The old one answers meanwhile.

    Example: rag reindex --set embed.model=path/to/model
    """
    with opened(index, set_, write=True) as assistant, bar("making anew", False) as progress:
        number = assistant.reindex(progress)
        print(f"{number} documents made anew" if number else "nothing to do: the index fits the settings")


@app.command()
def remove(
    source: Annotated[
        str | None, typer.Argument(help="A document's id, title, path or uri (rag show lists them).")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="All documents of this collection.")] = None,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Forget a document, or a whole collection, at once. The files themselves are not touched."""
    if (source is None) == (collection is None):
        raise UsageError("name a document or a collection", "rag remove SOURCE, or rag remove --collection NAME")
    with opened(index, set_, write=True) as assistant:
        if source is None:
            assert collection is not None
            assistant.filter(collections=[collection])  # is it there?
            print(f"removed {assistant.remove_collection(collection)} documents")
            return
        id_ = assistant.named(source)
        title = assistant.document(id_).source.title
        assistant.remove(id_)
        print(f"removed {title}")


@app.command()
def rename(
    old: Annotated[str, typer.Argument(help="A collection (rag show --collections lists them).")],
    new: Annotated[str, typer.Argument(help="Its new name; if that is there already, the two become one.")],
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Rename a collection."""
    with opened(index, set_, write=True) as assistant:
        assistant.filter(collections=[old])
        print(f"{assistant.rename_collection(old, new)} documents are in {new}")


def _span(at: str | None, length: int) -> Span:
    if at is None:
        return Span(0, length)
    try:
        start, end = (int(part) for part in at.split(":"))
        return Span(start, min(end, length))
    except ValueError:
        raise UsageError(f"--at {at!r} is no span", "for example --at 120:180") from None


def _print_check(report: CheckReport) -> None:
    holds = "all hold" if report.ok else "not all hold"
    print(f"{report.documents} documents, {report.passages} passages: {holds} ({report.seconds:.1f} s)")
    for line in report.repaired:
        print(f"repaired: {seen(line)}")
    for line in report.problems:
        print(f"problem: {seen(line)}", file=sys.stderr)


def _print_report(report: Report) -> None:
    parts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "refused": [uri for uri, _ in report.refused],
    }
    said = ", ".join(f"{len(uris)} {name}" for name, uris in parts.items() if uris) or "nothing found to add"
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in report.steps.items() if seconds >= 0.1)
    took = f"{report.seconds:.1f} s" + (f" ({steps})" if steps else "")
    print(f"{said}; {report.passages} new passages in {took}", flush=True)
    for uri, reason in report.refused:
        print(f"refused: {seen(reason or uri)}", file=sys.stderr)
    for uri, note in report.notes[:_MOST_NOTES]:
        print(f"note: {seen(unquote(uri.rsplit('/', 1)[-1]))}: {note}")
    if len(report.notes) > _MOST_NOTES:
        print(f"and {len(report.notes) - _MOST_NOTES} more notes: --json shows them all")
