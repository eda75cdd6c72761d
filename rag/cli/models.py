"""The commands about models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.shared import Json, Set, app, config_of, dim, print_json
from rag.errors import ModelError, ModelMissing, UsageError

if TYPE_CHECKING:
    from rag.config import Config
    from rag.models import Entry, Models

group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(group, name="models")

Name = Annotated[str, typer.Argument(help="A name that rag models list shows.")]


@group.callback()
def models(context: typer.Context, as_json: Json = False, set_: Set = []) -> None:  # noqa: B006
    """Which models there are, which are here, which are used; fetch, check, choose and add them."""
    if context.invoked_subcommand is None:
        list_(as_json, set_)


@group.command("list")
def list_(as_json: Json = False, set_: Set = []) -> None:  # noqa: B006
    """Every model that is known: what it is for, what it takes, and whether it is here.

    Example: rag models list
    """
    keeper, config = _keeper(set_)
    rows = [_row(keeper, entry, config) for entry in keeper.catalogue.values()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        sizes = f"{_size(row['bytes']):>7} {_size(row['memory']):>7}"
        mark = "*" if row["used"] else " "
        says = f"{row['licence']:<19} {row['good_for']}"
        print(f"{mark} {row['name']:<23} {row['role']:<9} {row['state']:<9} {sizes}  {says}")
    untried = " ".join(row["name"] for row in rows if not row["tried"])
    print(dim("\n* in use; then size of the files, and memory while it runs"))
    if untried:
        print(dim(f"not tried by this project: {untried}"))


@group.command()
def fetch(
    name: Name,
    renew: Annotated[bool, typer.Option(help="Accept other bytes than those of the first fetch.")] = False,
    set_: Set = [],  # noqa: B006
) -> None:
    """Fetch a model from the model hub, a mirror or a folder (models.host). Cut off, it goes on where it was.

    Example: rag models fetch qwen3-0.6b
    """
    keeper, config = _keeper(set_)
    with _progress() as progress:
        entry = keeper.fetch(name, config.models.host, progress, renew=renew)
    where = keeper.verified(entry)
    pinned = ", ".join(f"{n} sha256 {f.sha256[:12]}" for n, f in list(entry.files.items())[:1])
    print(f"{name} is here, whole: {where}\n  {pinned}\n  rag models use {name}")


@group.command()
def use(name: Name, set_: Set = []) -> None:  # noqa: B006
    """Choose a model: writes it into rag.toml of this folder. `none`: quotes alone, no language model.

    Example: rag models use smollm2-135m-instruct
    """
    from rag.models.choice import SETTING, choose

    keeper, config = _keeper(set_)
    key, note = "llm.model", ""
    if name != "none":
        entry = keeper.entry(name)
        if entry.role not in SETTING:
            raise UsageError(f"{name} is a {entry.role}: there is no choice", "choose an llm or an embedder")
        keeper.verified(entry)
        key = SETTING[entry.role]
        note = (
            _memory_note(entry)
            if entry.role == "llm"
            else "\n  an index is made by one embedder: make it anew, rag add"
        )
    changes = {key: name} | ({"llm.base_url": ""} if key == "llm.model" and config.llm.base_url else {})
    choose(Path("rag.toml"), changes)
    print("rag.toml: " + ", ".join(f"{k} = {v!r}" for k, v in changes.items()) + note)


@group.command()
def check(as_json: Json = False, set_: Set = []) -> None:  # noqa: B006
    """Prove by its hash every model file that is here.

    Example: rag models check
    """
    keeper, _ = _keeper(set_)
    found = {}
    for entry in keeper.catalogue.values():
        try:
            keeper.verified(entry)
            found[entry.name] = "whole"
        except ModelMissing:
            continue
        except ModelError as e:
            found[entry.name] = str(e)
    if as_json:
        print_json(found)
    else:
        for name, state in found.items():
            print(f"{name:<24} {state}")
    if any(state != "whole" for state in found.values()):
        raise typer.Exit(ModelError.exit_code)


@group.command()
def add(
    path: Annotated[Path, typer.Argument(help="A .gguf file, or a sentence-transformers folder.")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    template: Annotated[str | None, typer.Option(help="Its chat template, if it is not recognised.")] = None,
    set_: Set = [],  # noqa: B006
) -> None:
    """Add a model file of your own to the catalogue; it stays where it is.

    Example: rag models add ~/models/my-model.gguf --name mine
    """
    from rag.models.own import own

    keeper, _ = _keeper(set_)
    entry = own(path, name, template)
    keeper.add(entry)
    about = f"chat template {entry.template}, " if entry.template else ""
    print(f"{entry.name}: {entry.revision}, {about}window {entry.window}, {_size(entry.bytes)}{_memory_note(entry)}")
    print(f"  rag models use {entry.name}")


def _keeper(set_: list[str]) -> tuple[Models, Config]:
    from rag.models import Models

    config = config_of(None, set_)
    return Models(Path(config.models.folder) if config.models.folder else None), config


def _row(keeper: Models, entry: Entry, config: Config) -> dict[str, Any]:
    try:
        keeper.present(entry)
        state = "here"
    except ModelMissing:
        state = "to fetch" if entry.fetched else "missing"
    except ModelError:
        state = "damaged"
    used = entry.name == {"llm": "" if config.llm.base_url else config.llm.model, "embedder": config.embed.model}.get(
        entry.role, entry.name
    )
    row = {key: getattr(entry, key) for key in ("name", "role", "bytes", "memory", "licence", "good_for", "tried")}
    return row | {"state": state, "used": used}


def _memory_note(entry: Entry) -> str:
    """A warning, if the model takes more memory than there is now."""
    from rag.llm.gguf import free_memory

    free = free_memory()
    if free is None or entry.memory <= free:
        return ""
    return f"\n  it needs {_size(entry.memory)} of memory, and {_size(free)} are free now"


def _size(count: int) -> str:
    if not count:
        return "-"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """A bar for each file, with rate and time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(file: str, here: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total, completed=here)
            bars.update(tasks[file], completed=here, total=total)

        yield show
