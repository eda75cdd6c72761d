"""Receipts: what was said can be checked later, and whoever changes a receipt is found out."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rag
from rag import receipt
from rag.errors import UsageError
from rag.standing import Standing

TREES = "How many cherry trees will Japan give?"


@pytest.fixture(scope="module")
def made(quoting: rag.Assistant) -> receipt.Receipt:
    return receipt.load(receipt.dump(quoting.receipt(quoting.ask(TREES))))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place of a JSON value that holds no further one, with what stands there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None or not value:
        yield path, value
    else:
        for key, inner in pairs:
            yield from leaves(inner, (*path, key))


def tampered(made: receipt.Receipt, rng: random.Random) -> receipt.Receipt:
    """The receipt with one thing changed: a character, a number, a key, an item of a list, or a word of the text."""
    changed = copy.deepcopy(dict(made))
    path, value = rng.choice(list(leaves(changed)))
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    how = rng.choice(["change", "drop", "add"])
    if how == "drop":
        del holder[path[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder["also"] = "true"
    elif isinstance(value, str) and value:
        at = rng.randrange(len(value))
        holder[path[-1]] = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    else:
        holder[path[-1]] = rng.choice([1, 2, 3]) + value if isinstance(value, int) else "something"
    assert changed != made
    return changed


def found_out(assistant: rag.Assistant, told: receipt.Receipt) -> bool:
    try:
        return not assistant.verify(told).ok
    except UsageError:
        return True


def test_a_receipt_holds_the_question_the_answer_its_quotes_and_the_hashes_of_their_documents(
    quoting: rag.Assistant, made: receipt.Receipt
) -> None:
    answer = quoting.ask(TREES)
    assert made["schema"] == "rag.receipt/1"
    assert (made["question"], made["answer"]["text"]) == (TREES, answer.text)
    assert made["answer"]["claims"] == rag.to_json(answer.claims)
    assert [d["source"]["id"] for d in made["documents"]] == [answer.citations[0].source.id]
    assert set(made["models"]) == {"embedder", "reader", "llm"}
    assert made["index"] == answer.trace.fingerprints["index"]


def test_a_receipt_that_nobody_touched_is_intact_and_its_quotes_hold(
    quoting: rag.Assistant, made: receipt.Receipt
) -> None:
    found = quoting.verify(made)
    assert found.ok and found.intact and found.authentic is None and found.changes == ()
    assert [(q.standing, q.changed) for q in found.quotes] == [(Standing.HOLDS, False)]


@pytest.mark.parametrize("key", [None, "a secret"])
def test_a_hundred_of_a_hundred_tampered_receipts_are_caught(
    quoting: rag.Assistant, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    if key is not None:
        monkeypatch.setenv("RAG_RECEIPT_KEY", key)
    made = quoting.receipt(quoting.ask(TREES))
    assert quoting.verify(made).ok
    rng = random.Random(6)
    caught = sum(found_out(quoting, tampered(made, rng)) for _ in range(100))
    assert caught == 100


def test_a_made_up_quote_is_found_even_if_the_hash_was_made_anew(quoting: rag.Assistant, made: receipt.Receipt) -> None:
    forged = json.loads(json.dumps(dict(made)).replace("250 cherry", "900 cherry"))
    forged["seal"] = receipt._sealed({k: v for k, v in forged.items() if k != "seal"}, None)
    found = quoting.verify(forged)
    assert found.intact and not found.ok
    assert [q.standing for q in found.quotes] == [Standing.STALE]


def test_with_a_key_only_who_has_it_can_make_a_receipt(
    quoting: rag.Assistant, made: receipt.Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_RECEIPT_KEY", "ours")
    signed = quoting.receipt(quoting.ask(TREES))
    assert quoting.verify(signed).authentic is True
    unsigned = quoting.verify(made)
    assert unsigned.intact and unsigned.authentic is False and not unsigned.ok  # a signature could have been cut off
    monkeypatch.setenv("RAG_RECEIPT_KEY", "theirs")
    assert quoting.verify(signed).authentic is False
    monkeypatch.delenv("RAG_RECEIPT_KEY")
    assert quoting.verify(signed).authentic is None and quoting.verify(signed).ok


def test_what_changed_since_is_said(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("The code word of the house is heliotrope. Nobody else may know it.")
    with rag.open(tmp_path / "index", documents=file, llm_model="none") as assistant:
        made = assistant.receipt(assistant.ask("What is the code word of the house?"))
        assert assistant.verify(made).ok
        file.write_text("A new first line.\nThe code word of the house is heliotrope. Nobody else may know it.")
        assistant.add([file])
        moved = assistant.verify(made)
        assert moved.ok and [q.standing for q in moved.quotes] == [Standing.MOVED]
        assert moved.quotes[0].changed and moved.quotes[0].now is not None and assistant.holds(moved.quotes[0].now)
        assert any(change.startswith("index is another one") for change in moved.changes)
        file.write_text("The code word of the house is marigold.")
        assistant.add([file])
        assert [q.standing for q in assistant.verify(made).quotes] == [Standing.STALE]
        assistant.add_text("Something else.", title="x", uri="mem:x")
        assistant.remove(file.as_uri())
        gone = assistant.verify(made)
        assert not gone.ok and gone.intact and [q.standing for q in gone.quotes] == [Standing.GONE]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, '{"seal": 1}', '{"schema": "other/9"}',
        '{"a": 1e999}', "\xff\xfe", '{"seal": {"sha256": null}, "schema": "rag.receipt/1"}',
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_no_receipt_is_said_in_a_sentence(quoting: rag.Assistant, text: str) -> None:
    try:
        found = quoting.verify(receipt.load(text))
    except UsageError as e:
        assert "receipt" in e.message and len(e.message) < 300 and "Error" not in e.message
    else:
        assert not found.ok
