"""The commands about questions: ask and search."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.shared import (
    Collection,
    Index,
    Json,
    Set,
    Since,
    Source,
    Type,
    Until,
    app,
    dim,
    one_line,
    opened,
    print_json,
)
from rag.errors import UsageError
from rag.types import Answer, Citation, Origin, Outcome, Quoted, Waits, Wrote

if TYPE_CHECKING:
    from rag.assistant import Assistant


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    llm: Annotated[bool, typer.Option(help="Let the LLM word the answer; --no-llm gives quotes alone.")] = True,
    strictness: Annotated[str | None, typer.Option(help="strict, balanced or lenient.")] = None,
    after: Annotated[
        list[str], typer.Option(help="A question asked before, which this one leans on. May be repeated, oldest first.")
    ] = [],  # noqa: B006 - typer copies it
    receipt: Annotated[Path | None, typer.Option(help="Write the answer's receipt here, for `rag verify`.")] = None,
    source: Source = [],  # noqa: B006 - typer copies it
    type_: Type = [],  # noqa: B006
    collection: Collection = [],  # noqa: B006
    since: Since = "",
    until: Until = "",
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer a question from the index, with the quotes that back it.

    Example: rag ask "How many cherry trees will Japan give?"
    """
    flags = {"answer.strictness": strictness, "llm.model": None if llm else "none"}
    with opened(index, set_, flags={k: v for k, v in flags.items() if v is not None}) as assistant:
        where = assistant.filter(sources=source, types=type_, collections=collection, since=since, until=until)
        history = [(asked, "") for asked in after]
        if as_json:
            answer = assistant.ask(question, history=history, where=where)
            print_json(answer)
            _keep(assistant, answer, receipt)
            return
        for event in assistant.stream(question, history=history, where=where):
            if isinstance(event, Quoted) and sys.stdout.isatty():
                print(f"{dim('found: ')}{dim(one_line(event.citations[0].quote, 160))}\n")
            elif isinstance(event, Wrote) and sys.stdout.isatty():
                pass  # the whole answer follows at once, with its numbers
            elif isinstance(event, Waits):
                print(dim(f"waiting: {event.before} before this one"), file=sys.stderr)
            elif isinstance(event, Answer):
                _print_answer(event)
                _keep(assistant, event, receipt)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=1000)] = 5,
    rerank: Annotated[
        int | None, typer.Option(help="Read so many of those found, and order them anew; 0: none.", min=0, max=200)
    ] = None,
    source: Source = [],  # noqa: B006 - typer copies it
    type_: Type = [],  # noqa: B006
    collection: Collection = [],  # noqa: B006
    since: Since = "",
    until: Until = "",
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """The passages most worth reading, best first, without answering.

    Example: rag search tariffs -k 3
    """
    with opened(index, set_) as assistant:
        where = assistant.filter(sources=source, types=type_, collections=collection, since=since, until=until)
        hits = assistant.search(words, k, where=where, rerank=rerank)
        if as_json:
            print_json(hits)
            return
        for n, hit in enumerate(hits, start=1):
            place = assistant.document(hit.passage.source.id).where(hit.passage.span)
            ranks = ", ".join(f"{name} {rank}" for name, rank in hit.ranks.items())
            print(f"{n}. {hit.passage.source.title} - {place}  {dim(f'({hit.score:.2f}; {ranks})')}")
            print(f"   {one_line(_from_match(hit.passage.text, words), 300)}\n")


def _keep(assistant: Assistant, answer: Answer, receipt: Path | None) -> None:
    """The answer's receipt in a file, if one is asked for."""
    if receipt is None:
        return
    from rag.receipt import dump

    try:
        receipt.write_text(dump(assistant.receipt(answer)), "utf-8")
    except OSError as e:
        raise UsageError(f"{receipt} cannot be written: {e.strerror}", "name another file") from e


def _print_answer(answer: Answer) -> None:
    """What was searched with where that is not the question; the claims with their numbers, what is a quote in
    quotation marks; then the sources."""
    from rag.answer.remarks import remarks

    if answer.trace.query not in ("", answer.question):
        print(dim(f"searched with: {answer.trace.query}\n"))
    numbers = {c: n for n, c in enumerate(answer.citations, start=1)}
    opening = answer.text[: answer.claims[0].at.start].strip() if answer.claims else answer.text
    if opening:
        print(opening + "\n")
    for words, claim in answer:
        marks = "".join(f"[{numbers[c]}]" for c in claim.citations)
        sure = answer.outcome is Outcome.ANSWERED and len(claim.citations) == 1
        quote = _marked(claim.citations[0]) if sure else words
        print(f"“{quote}” {marks}" if claim.origin is Origin.QUOTE else f"{words} {marks}")
    if answer.citations:
        print()
    for citation, n in numbers.items():
        print(
            dim(
                f"[{n}] {citation.source.title}, {citation.where}, characters {citation.span.start}-{citation.span.end}"
            )
        )
        if answer.outcome is Outcome.ANSWERED and any(c.origin is Origin.MODEL for c in answer.claims):
            print(f"    “{_marked(citation)}”")
    for remark in remarks(answer):
        print(remark, file=sys.stderr)


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
