"""JSON as lines that can be read, 'customer.name: Bauer', each record under its own mark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rag.errors import DocumentError
from rag.load.draft import Draft, Parsed
from rag.load.plain import decode


def parse(data: bytes) -> Parsed:
    """The records of a list, or what stands under each key. Raises DocumentError: no JSON."""
    value, draft = loads(decode(data)), Draft()
    if isinstance(value, list):
        _records(draft, value, "")
    elif isinstance(value, dict):
        for key, inner in value.items():
            with draft.within("heading", key, 1):
                if isinstance(inner, list) and inner and all(isinstance(i, dict) for i in inner):
                    _records(draft, inner, key)
                else:
                    draft.say("\n".join(lines(inner, key)), "\n")
    else:
        draft.say(_word(value))
    title = value.get("title") if isinstance(value, dict) else None
    return draft.done(title if isinstance(title, str) else "")


def loads(text: str) -> Any:
    """The value, its numbers as they are written. Raises DocumentError."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError as e:
        raise DocumentError(f"it is no JSON: {e}", "check the file") from e


def lines(value: Any, path: str = "") -> Iterator[str]:
    """Every leaf as 'path: value', in order, without recursion; what is null or empty is left out.

    >>> list(lines({"a": {"b": "1"}, "c": ["x", None]}))
    ['a.b: 1', 'c[0]: x']
    """
    stack = [(path, value)]
    while stack:
        at, now = stack.pop()
        if isinstance(now, dict):
            stack += reversed([(f"{at}.{key}" if at else key, inner) for key, inner in now.items()])
        elif isinstance(now, list):
            stack += reversed([(f"{at}[{i}]", inner) for i, inner in enumerate(now)])
        elif word := _word(now).strip():
            yield f"{at}: {word}" if at else word


def _records(draft: Draft, records: list[Any], key: str) -> None:
    for number, record in enumerate(records, start=1):
        draft.item("row", f"record {number}", "\n".join(lines(record)))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
