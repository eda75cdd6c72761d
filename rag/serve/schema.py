"""The shape of everything that leaves by a door, as JSON Schema: made from the nouns, kept in schema.json.

    python -m rag.serve.schema      writes the file anew; a test compares it with the nouns

VERSION goes up by one when the shape of a noun changes: a field more, a field less, another name, type or meaning. A
new noun beside them is no new version. A test knows the shapes of each version by their hash.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from rag import receipt, types
from rag.add import Report
from rag.index import CollectionRow, SourceRow
from rag.serve.desk import Expected
from rag.serve.refuse import ERROR

VERSION = 2
FILE = Path(__file__).with_name("schema.json")
NOUNS = (
    types.Answer,
    types.Citation,
    types.Document,
    types.Found,
    types.Hit,
    types.Quoted,
    types.Waits,
    types.Wrote,
    Expected,
    Report,
    SourceRow,
    CollectionRow,
    receipt.Verification,
)
EVENTS = {"waits": "Expected", "found": "Found", "quoted": "Quoted", "wrote": "Wrote", "answer": "Answer"}
"""What each server-sent event of /v1/answers holds, besides `error`."""


def _ref(noun: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{noun}"}


def _object(told: str, optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    required = sorted(properties.keys() - set(optional))
    return {"type": "object", "description": told, "properties": properties, "required": required}


_TEXT, _SHA256 = {"type": "string"}, {"type": "string", "pattern": "^[0-9a-f]{64}$"}
BESIDE = {
    "Error": ERROR,
    "Events": _object(
        "Each server-sent event of /v1/answers, by its name.",
        (*EVENTS, "error"),
        **{name: _ref(noun) for name, noun in EVENTS.items()},
        error=_ref("Error"),
    ),
    "Receipt": _object(
        "An answer that can be checked later; the seal is over all the rest of it.",
        schema={"const": receipt.SCHEMA},
        made={"type": "string", "description": "The moment, in UTC: 2026-01-31T12:00:00Z."},
        rag=_TEXT,
        question=_TEXT,
        answer=_object(
            "What was said.", outcome=_ref("Outcome"), text=_TEXT, claims={"type": "array", "items": _ref("Claim")}
        ),
        documents={
            "type": "array",
            "items": _object("A quoted document, with the hash of its text.", source=_ref("Source"), sha256=_SHA256),
        },
        models={"type": "object", "additionalProperties": _TEXT},
        index=_TEXT,
        seal=_object("sha256, and an HMAC if there is a key.", ("hmac_sha256",), sha256=_SHA256, hmac_sha256=_SHA256),
    ),
    "Upload": _object(
        "Some files on their way into the index; `error` if it failed, or nothing of it could be read.",
        ("error",),
        id=_TEXT,
        state={"enum": ["waiting", "indexing", "done", "failed"]},
        files={"type": "integer", "minimum": 1},
        report={"anyOf": [_ref("Report"), {"type": "null"}]},
        error={"$ref": "#/$defs/Error/properties/error"},
    ),
}
"""The shapes that are no noun of the house: what is put together at the door."""


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
        "$defs": dict(sorted((definitions | BESIDE).items())),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), indent=2, ensure_ascii=False) + "\n", "utf-8")
