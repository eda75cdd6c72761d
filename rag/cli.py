"""The command line: it parses, calls the assistant, and prints.

rag add PATH...     bring files and folders into the index
rag ask QUESTION    an answer with its quotes
rag search WORDS    the passages most worth reading
rag chat            the chat page in a browser
rag show [SOURCE]   what the index holds, or one document's text
rag check           prove the index, and mend what can be mended
rag remove SOURCE   forget a document
rag models          what is installed, and whether it is what it should be
rag settings        every setting with its range
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.config import Config, settings
from rag.errors import IndexMissing, RagError, UsageError
from rag.types import Answer, Citation, Origin, Outcome, Quoted, Span, Wrote, to_json

if TYPE_CHECKING:
    from rag.add import Progress
    from rag.assistant import Assistant

app = typer.Typer(
    help="Ask your own documents, offline; every sentence of an answer is backed by a quote that is really there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Index = Annotated[
    str | None, typer.Option("--index", "-i", help="Folder of the index (default: index).", metavar="FOLDER")
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set", help="A setting, for example llm.model=none; `rag settings` lists them.", metavar="KEY=VALUE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders: text, Markdown, HTML, PDF, Word.")],
    mirror: Annotated[bool, typer.Option(help="Remove documents that were under these folders and are gone.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006 - typer copies it
    as_json: Json = False,
) -> None:
    """Bring files and folders into the index. Unchanged files cost a look; run it again whenever you like.

    Example: rag add seeds/ ~/notes report.pdf
    """
    with _assistant(index, set_, write=True) as assistant, _bar("indexing", as_json) as progress:
        report = assistant.add(paths, mirror=mirror, progress=progress)
    if as_json:
        _print_json(report)
    else:
        parts = {
            "added": report.added,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "removed": report.removed,
        }
        said = ", ".join(f"{len(uris)} {name}" for name, uris in parts.items() if uris) or "nothing found to add"
        print(f"{said}; {report.passages} new passages in {report.seconds:.1f} s")
        for uri, reason in report.refused:
            print(f"refused: {reason or uri}", file=sys.stderr)
    if report.refused and not (report.added or report.changed or report.unchanged):
        raise typer.Exit(3)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    llm: Annotated[bool, typer.Option(help="Let the LLM word the answer; --no-llm gives quotes alone.")] = True,
    strictness: Annotated[str | None, typer.Option(help="strict, balanced or lenient.")] = None,
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer a question from the index, with the quotes that back it.

    Example: rag ask "How many cherry trees will Japan give?"
    """
    flags = {"answer.strictness": strictness, "llm.model": None if llm else "none"}
    with _assistant(index, set_, flags={k: v for k, v in flags.items() if v is not None}) as assistant:
        if as_json:
            _print_json(assistant.ask(question))
            return
        for event in assistant.stream(question):
            if isinstance(event, Quoted) and sys.stdout.isatty():
                print(f"{_dim('found: ')}{_dim(_one_line(event.citations[0].quote, 160))}\n")
            elif isinstance(event, Wrote) and sys.stdout.isatty():
                pass  # the whole answer follows at once, with its numbers
            elif isinstance(event, Answer):
                _print_answer(event)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=1000)] = 5,
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """The passages most worth reading, best first, without answering.

    Example: rag search tariffs -k 3
    """
    with _assistant(index, set_) as assistant:
        hits = assistant.search(words, k)
        if as_json:
            _print_json(hits)
            return
        for n, hit in enumerate(hits, start=1):
            where = assistant.document(hit.passage.source.id).where(hit.passage.span)
            ranks = ", ".join(f"{name} {rank}" for name, rank in hit.ranks.items())
            print(f"{n}. {hit.passage.source.title} - {where}  {_dim(f'({hit.score:.2f}; {ranks})')}")
            print(f"   {_one_line(_from_match(hit.passage.text, words), 300)}\n")


@app.command()
def chat(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs --password.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; the next free one is taken if it is in use.", min=1, max=65535)
    ] = 7860,
    password: Annotated[str | None, typer.Option(envvar="RAG_PASSWORD", help="Ask for this password.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """The chat page: ask, read the answer, open each quote in its document."""
    from rag.chat import serve

    with _assistant(index, set_, write=None) as assistant:
        serve(assistant, host=host, port=port, open_browser=browser, password=password)


@app.command()
def show(
    source: Annotated[str | None, typer.Argument(help="A document's id, title, or uri; none: list them all.")] = None,
    at: Annotated[str | None, typer.Option(help="Only this span, START:END in characters, as in a citation.")] = None,
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """What the index holds, or one document's text exactly as it was indexed."""
    with _assistant(index, set_) as assistant:
        if source is None:
            rows = assistant.sources()
            if as_json:
                _print_json(rows)
            else:
                for row in rows:
                    size = f"{row.passages:>6} passages  {row.characters:>9,} characters"
                    print(f"{row.source.id}  {size}  {row.source.title}")
            return
        document = assistant.document(_source_id(assistant, source))
        if as_json:
            _print_json(document)
        else:
            print(_span(at, len(document.text)).of(document.text))


@app.command()
def check(index: Index = None, set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Prove every passage against its document and every vector against its row; rebuild what can be rebuilt."""
    with _assistant(index, set_, write=True) as assistant:
        report = assistant.check()
        _print_json(report) if as_json else print(report)
        if not report.ok:
            raise typer.Exit(4)


@app.command()
def remove(
    source: Annotated[str, typer.Argument(help="A document's id, title, or uri (`rag show` lists them).")],
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Forget a document at once. The file itself is not touched."""
    with _assistant(index, set_, write=True) as assistant:
        id_ = _source_id(assistant, source)
        title = assistant.document(id_).source.title
        assistant.remove(id_)
        print(f"removed {title}")


@app.command()
def models(as_json: Json = False, set_: Set = []) -> None:  # noqa: B006
    """Every model of the catalogue: what it is for, and whether its files are here and whole."""
    from rag.models import Models

    config = _config(None, set_)
    keeper = Models(Path(config.models.folder) if config.models.folder else None)
    rows = []
    for entry in keeper.catalogue.values():
        try:
            keeper.verified(entry)
            state = "whole"
        except RagError as e:
            state = str(e)
        rows.append(
            {
                "name": entry.name,
                "role": entry.role,
                "state": state,
                "licence": entry.licence,
                "good_for": entry.good_for,
            }
        )
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['name']:<24} {row['role']:<9} {row['state']:<7} {row['licence']:<11} {row['good_for']}")


@app.command("settings")
def settings_(set_: Set = [], as_json: Json = False) -> None:  # noqa: B006
    """Every setting with its value in force, its range and what it means."""
    config = _config(None, set_)
    rows = [(key, getattr(getattr(config, key.split(".")[0]), key.split(".")[1]), says) for key, _, says in settings()]
    if as_json:
        _print_json({key: value for key, value, _ in rows})
        return
    for key, value, says in rows:
        print(f"{key:<24} {value!s:<24} {says}")


def main() -> None:
    """Run the command line; every error becomes one sentence, its cure, and an exit code."""
    try:
        code = app(standalone_mode=False)  # an early exit comes back as its code
    except RagError as e:
        print(f"rag: {e.message}" + (f"\n     {e.hint}" if e.hint else ""), file=sys.stderr)
        raise SystemExit(e.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        print("\nrag: stopped; what was acknowledged is kept", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    except Exception as e:
        if hasattr(e, "show"):  # the option parser's own errors know how to say themselves
            e.show()
            raise SystemExit(getattr(e, "exit_code", 2)) from None
        raise
    raise SystemExit(code if isinstance(code, int) else 0)


# -- what the commands share -------------------------------------------------------------------------------------------


def _config(index: str | None, set_: list[str], flags: Mapping[str, Any] | None = None) -> Config:
    chosen: dict[str, Any] = {"index.folder": index} | dict(flags or {})
    for pair in set_:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r} has no '='", "for example --set llm.model=none")
        chosen[key] = value
    return Config.load(chosen)


@contextmanager
def _assistant(
    index: str | None, set_: list[str], *, write: bool | None = False, flags: Mapping[str, Any] | None = None
) -> Iterator[Assistant]:
    from rag.assistant import Assistant

    config = _config(index, set_, flags)
    folder = Path(config.index.folder)
    if write is False and not (folder / "FORMAT").is_file():
        raise IndexMissing(f"there is no index in {folder}", f"rag add PATH --index {folder}")
    with Assistant(folder, config, write=write) as assistant:
        yield assistant


@contextmanager
def _bar(label: str, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar with rate and time left, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[uri]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, uri="")
        yield lambda p: bar.update(task, total=p.total, completed=p.done, uri=Path(p.uri).name[:40])


def _source_id(assistant: Assistant, named: str) -> str:
    rows = assistant.sources()
    path = Path(named).resolve().as_uri()
    found = [r.source.id for r in rows if named in (r.source.id, r.source.uri, r.source.title) or r.source.uri == path]
    if len(found) == 1:
        return found[0]
    what = "no document" if not found else f"{len(found)} documents"
    raise UsageError(f"{what} called {named!r} in the index", "rag show lists them; use the id")


def _span(at: str | None, length: int) -> Span:
    if at is None:
        return Span(0, length)
    try:
        start, end = (int(part) for part in at.split(":"))
        return Span(start, min(end, length))
    except ValueError:
        raise UsageError(f"--at {at!r} is no span", "for example --at 120:180") from None


def _print_json(value: Any) -> None:
    print(json.dumps(to_json(value), ensure_ascii=False, indent=2))


def _print_answer(answer: Answer) -> None:
    """The claims with their numbers, what is a quote in quotation marks, then the sources."""
    numbers = {c: n for n, c in enumerate(answer.citations, start=1)}
    opening = answer.text[: answer.claims[0].at.start].strip() if answer.claims else answer.text
    if opening:
        print(opening + "\n")
    for words, claim in answer:
        marks = "".join(f"[{numbers[c]}]" for c in claim.citations)
        print(f"“{words}” {marks}" if claim.origin is Origin.QUOTE else f"{words} {marks}")
    if answer.citations:
        print()
    for citation, n in numbers.items():
        print(
            _dim(
                f"[{n}] {citation.source.title}, {citation.where}, characters {citation.span.start}-{citation.span.end}"
            )
        )
        if answer.outcome is Outcome.ANSWERED and any(c.origin is Origin.MODEL for c in answer.claims):
            print(f"    “{_marked(citation)}”")


def _marked(citation: Citation) -> str:
    """The quote; on a terminal the short answer inside it is bold."""
    if citation.answer is None or not sys.stdout.isatty():
        return citation.quote
    a = citation.answer.shift(-citation.span.start)
    return f"{citation.quote[: a.start]}\x1b[1m{a.of(citation.quote)}\x1b[22m{citation.quote[a.end :]}"


def _from_match(text: str, words: str) -> str:
    """The text from its first sentence that holds a word that was looked for; all of it if none does."""
    from rag.text import sentences, terms

    wanted = set(terms(words))
    start = next((s.start for s in sentences(text) if wanted & set(terms(s.of(text)))), 0)
    return ("… " if start else "") + text[start:]


def _one_line(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[22m" if sys.stdout.isatty() else text
