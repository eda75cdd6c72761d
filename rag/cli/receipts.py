"""The command about receipts: verify. (`rag ask --receipt FILE` makes one.)"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.cli.shared import Index, Json, Set, app, dim, one_line, opened, print_json
from rag.errors import UsageError


@app.command()
def verify(
    receipt: Annotated[Path, typer.Argument(help="A receipt, as `rag ask --receipt FILE` writes it.")],
    index: Index = None,
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Check a receipt offline: that nobody changed it, that each quote still stands, and what has changed since.

    Its hash shows that it was not changed by accident or by somebody careless; who changes it on purpose can make the
    hash anew. With RAG_RECEIPT_KEY set when it is made and when it is checked, only who has the key can make one.
    """
    from rag.receipt import load

    try:
        told = load(receipt.read_bytes())
    except OSError as e:
        raise UsageError(f"{receipt} cannot be read: {e.strerror}", "check the path") from e
    with opened(index, set_) as assistant:
        found = assistant.verify(told)
    if as_json:
        print_json(found)
    else:
        print("intact: as it was made" if found.intact else "NOT INTACT: it was changed after it was made")
        if found.authentic is not None:
            print("signed with your key" if found.authentic else "NOT SIGNED with your key: anybody can have made it")
        elif found.intact:
            print(dim("no key: who made it is not proven (RAG_RECEIPT_KEY)"))
        for quote in found.quotes:
            where = f"{quote.citation.source.title}, {quote.citation.where}"
            changed = "; its document has changed" if quote.changed and quote.now is not None else ""
            print(f"{quote.standing.value}: “{one_line(quote.citation.quote, 100)}” ({where}){changed}")
        for change in found.changes:
            print(f"since then: {change}")
    if not found.ok:
        raise typer.Exit(1)
