"""What the commands share: the app they hang on, the options they have in common, how things are printed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.config import Config, index_at
from rag.errors import UsageError
from rag.load import seen
from rag.types import to_json

if TYPE_CHECKING:
    from rag.add import Progress
    from rag.assistant import Assistant
    from rag.library import Writes

app = typer.Typer(
    help="Ask your own documents, offline; every sentence of an answer is backed by a quote that is really there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Index = Annotated[
    str | None,
    typer.Option(
        "--index", "-i", help="Folder of the index (default: index), or milvus://host:19530/name.", metavar="FOLDER"
    ),
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set", help="A setting, for example llm.model=none; `rag settings` lists them.", metavar="KEY=VALUE"
    ),
]
Source = Annotated[list[str], typer.Option(help="Look only in this document: id, title, uri or path. May be repeated.")]
Type = Annotated[list[str], typer.Option("--type", help="Only files of this kind: pdf, docx, text/*. May be repeated.")]
Collection = Annotated[list[str], typer.Option(help="Only in this collection. May be repeated.")]
Since = Annotated[str, typer.Option(help="Only in documents from this day on.", metavar="YYYY[-MM[-DD]]")]
Until = Annotated[str, typer.Option(help="Only in documents up to this day.", metavar="YYYY[-MM[-DD]]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def config_of(index: str | None, set_: list[str], flags: Mapping[str, Any] | None = None) -> Config:
    chosen: dict[str, Any] = {**index_at(index), **(flags or {})}
    for pair in set_:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r} has no '='", "for example --set llm.model=none")
        chosen[key] = value
    return Config.load(chosen)


@contextmanager
def opened(
    index: str | None, set_: list[str], *, write: Writes = False, flags: Mapping[str, Any] | None = None
) -> Iterator[Assistant]:
    from rag.assistant import Assistant

    config = config_of(index, set_, flags)
    with Assistant(Path(config.index.folder), config, write=write) as assistant:
        if write is False:
            assistant.require()
        yield assistant


@contextmanager
def bar(label: str, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar with rate and time left, by bytes where they are known, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    texts = [TextColumn(f"{{task.fields[{name}]}}", justify="right") for name in ("files", "rate")]
    columns = (TextColumn("{task.description}"), BarColumn(), *texts, TimeRemainingColumn())
    start = time.monotonic()
    with Bar(
        *columns, TextColumn("{task.fields[name]}", markup=False), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(label, total=None, files="", rate="", name="")

        def show(p: Progress) -> None:
            done, total = (p.bytes, p.all_bytes) if p.all_bytes else (p.done, p.total)
            files, rate = f"{p.done}/{p.total}", rate_of(p, time.monotonic() - start)
            name = seen(p.path.name)[:40] if p.path is not None else ""
            bar.update(task, total=total, completed=done, files=files, rate=rate, name=name)

        yield show


def rate_of(progress: Progress, seconds: float) -> str:
    """How much was done a second, on average: megabytes where they are known, else documents; '' before the start."""
    if seconds <= 0 or not (progress.bytes or progress.done):
        return ""
    if progress.all_bytes:
        return f"{progress.bytes / seconds / 1e6:.2f} MB/s"
    return f"{progress.done / seconds:.1f} a second"


def print_json(value: Any) -> None:
    print(json.dumps(to_json(value), ensure_ascii=False, indent=2))


def one_line(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[22m" if sys.stdout.isatty() else text
