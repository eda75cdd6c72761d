"""The shape of everything that leaves by a door, as JSON Schema: made from the nouns, kept in schema.json.

    python -m rag.serve.schema      writes the file anew; a test compares it with the nouns

VERSION goes up by one when something that a client may read changes its name, its type or its meaning, or goes away;
something new beside it is no new version.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from rag import types

VERSION = 1
FILE = Path(__file__).with_name("schema.json")
NOUNS = (types.Answer, types.Citation, types.Document, types.Found, types.Hit, types.Quoted, types.Waits, types.Wrote)


@cache
def schema() -> dict[str, Any]:
    """The schema as it was published; its `$defs` name each noun."""
    read: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return read


def made() -> dict[str, Any]:
    """The schema that the nouns have now."""
    from pydantic import TypeAdapter

    definitions: dict[str, Any] = {}
    for noun in NOUNS:
        one = TypeAdapter(noun).json_schema(mode="serialization", ref_template="#/$defs/{model}")
        definitions |= one.pop("$defs", {})
        if "$ref" not in one:
            definitions[noun.__name__] = one
    definitions["Answer"]["properties"]["citations"] = {
        "type": "array",
        "items": {"$ref": "#/$defs/Citation"},
        "description": "each citation of the claims once, in the order of use; [n] is position n, from 1",
    }
    for one in definitions.values():
        if one.get("type") == "object":
            one["required"] = sorted(one["properties"])  # unknown is null, never absent
        for told in one.get("properties", {}).values():
            told.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:rag:schema:{VERSION}",
        "title": "What rag answers, by every door",
        "version": VERSION,
        "$ref": "#/$defs/Answer",
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), indent=2, ensure_ascii=False) + "\n", "utf-8")
