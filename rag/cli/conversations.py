"""The commands about conversations: list, show, export, verify, delete; and what people said of the answers."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.shared import Index, Json, Set, app, dim, one_line, opened, print_json
from rag.errors import ConversationError, RagError, UsageError

talks = typer.Typer(
    help="Conversations of the chat page, kept beside the index: list, export, verify, delete.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(talks, name="conversations")
Name = Annotated[str, typer.Argument(help="The id of a conversation, or the beginning of one.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of printing.")]


@talks.command("list")
def list_(
    words: Annotated[str, typer.Argument(help="Only those that hold each of these words.")] = "",
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """What was asked and answered, the newest first."""
    with opened(index, set_) as assistant:
        rows = assistant.conversations.rows(words)
        damaged = assistant.conversations.damaged()
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.changed))
            print(f"{row.id}  {day}  {row.turns:>3}  {one_line(row.title, 70)}")
    for path in damaged:
        print(f"could not be read, set aside: {path}", file=sys.stderr)


@talks.command()
def export(
    name: Name,
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, whose citations `verify` checks again.")] = False,
    index: Index = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """A conversation as Markdown, each quote a footnote with its place; or as JSON.

    Example: rag conversations export 3f2a --out trees.md
    """
    from rag.conversation import plain_of
    from rag.conversation.export import markdown

    with opened(index, set_) as assistant:
        kept = assistant.conversations
        talk = kept.load(_named(name, [row.id for row in kept.rows()]))
    text = json.dumps(plain_of(talk), indent=1) + "\n" if as_json else markdown(talk)
    _write(text, out)


@talks.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A conversation exported with --json.")],
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Check every citation of an exported conversation against the documents as they are now.

    Ends with 4 if one of them no longer holds.
    """
    from rag.conversation import read
    from rag.conversation.export import verify

    try:
        talk = read(json.loads(file.read_bytes()))
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}", "check the path") from e
    except (ValueError, RecursionError) as e:
        raise ConversationError(f"{file} holds no conversation: {e}", "rag conversations export ID --json") from e
    with opened(index, set_) as assistant:
        checked = verify(talk, assistant.standing)
    if as_json:
        print_json(checked)
    else:
        for c in checked:
            where = dim(c.citation.source.title)
            print(f"{c.turn}-{c.number}  {c.standing.value:<6} {where}  {one_line(c.citation.quote, 80)}")
    if any(c.now is None for c in checked):
        raise typer.Exit(4)


@talks.command()
def delete(name: Name, index: Index = None, set_: Set = []) -> None:  # noqa: B006
    """Forget a conversation at once."""
    with opened(index, set_) as assistant:
        kept = assistant.conversations
        id_ = _named(name, [row.id for row in kept.rows()])
        kept.delete(id_)
        print(f"deleted {id_}")


@app.command()
def feedback(out: Out = None, index: Index = None, set_: Set = []) -> None:  # noqa: B006
    """The answers that were rated on the chat page, as an evaluation set: one JSON object a line.

    A good answer is a case with its quotes as the truth, a good refusal a question without an answer; a bad answer
    keeps its note. Example: rag feedback --out mine.jsonl
    """
    from rag.conversation.export import cases

    lines: list[str] = []
    with opened(index, set_) as assistant:
        kept = assistant.conversations
        for row in kept.rows():
            try:
                lines += [_line(case) for case in cases([kept.load(row.id)])]
            except RagError as e:
                print(f"left out: {e}", file=sys.stderr)
    if not lines:
        print("no answer was rated yet: use the thumbs under an answer of the chat page", file=sys.stderr)
    _write("".join(lines), out)


def _named(name: str, ids: list[str]) -> str:
    found = [id_ for id_ in ids if id_.startswith(name)]
    if len(found) != 1:
        what = "no conversation" if not found else f"{len(found)} conversations"
        raise UsageError(f"{what} called {name!r}", "rag conversations list")
    return found[0]


def _line(case: Any) -> str:
    return json.dumps(case, ensure_ascii=True) + "\n"


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text.encode("utf-8", "replace").decode("utf-8"), end="")
        return
    from rag.files import write_atomically

    try:
        write_atomically(out, text.encode("utf-8", "replace"))
    except OSError as e:
        raise UsageError(f"{out} cannot be written: {e.strerror}", "name another file") from e
    print(f"wrote {out}", file=sys.stderr)
