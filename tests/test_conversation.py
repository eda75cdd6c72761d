"""Conversations on disk: they come back as they were, whatever dies or is damaged, and say what still holds."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.conversation import Conversation, Conversations, Feedback, Turn, plain_of, read, titled, written
from rag.conversation.export import cases, markdown, verify
from rag.errors import ConversationDamaged, ConversationMissing, RagError
from rag.plain import from_json
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Evidence,
    Hit,
    Origin,
    Outcome,
    Passage,
    Side,
    Source,
    Span,
    Trace,
    Verdict,
    to_json,
)
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant

ROOT = Path(__file__).resolve().parent.parent
TEXTS = st.text(st.characters(), max_size=40)  # lone surrogates too
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def answer_to(question: str, outcome: Outcome = Outcome.ANSWERED) -> Answer:
    """What the scripted assistant says; the same answer to any question."""
    *_, answer = FakeAssistant().stream({"closest": "closest one", "nothing": "nothing"}.get(outcome.value, "trees?"))
    assert isinstance(answer, Answer)
    return Answer(question, answer.text, answer.claims, answer.evidence, answer.outcome, answer.trace)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Any answer that the nouns allow."""
    text = draw(st.text(st.characters(), min_size=1, max_size=60))
    document = Document(Source.at("file:///" + draw(TEXTS), draw(TEXTS)), text)

    def span(most: int, least: int = 0) -> Span:
        start = draw(st.integers(0, most - least))
        return Span(start, draw(st.integers(start + least, most)))

    def citation() -> Citation:
        quote = span(len(text), 1)
        inner = draw(st.none() | st.just(Span(quote.start, quote.end)))
        return Citation.cut(document, quote, inner)

    said = draw(TEXTS)
    claims = tuple(
        Claim(span(len(said)), (citation(),), draw(st.sampled_from(Verdict)), draw(st.sampled_from(Origin)))
        for _ in range(draw(st.integers(0, 3)))
    )
    hit = Hit(Passage.cut(document, Span(0, len(text))), draw(NUMBERS), MappingProxyType({"dense": 1}))
    trace = Trace(
        query=draw(TEXTS), withheld=((draw(TEXTS), draw(TEXTS)),), signals={draw(TEXTS): draw(NUMBERS)},
        confidence=draw(NUMBERS), fingerprints={"llm": draw(TEXTS)},
    )  # fmt: skip
    return Answer(
        draw(TEXTS), said, claims, (Evidence(hit, span(len(text)), 0.5, span(len(text))),),
        draw(st.sampled_from(Outcome)), trace, conflicts=(Side(draw(TEXTS), (citation(),)),),
    )  # fmt: skip


@given(answers())
def test_an_answer_comes_back_from_json_as_it_was(answer: Answer) -> None:
    assert from_json(Answer, json.loads(json.dumps(to_json(answer)))) == answer


@settings(max_examples=40)
@given(st.lists(answers(), max_size=3), TEXTS, st.booleans())
def test_a_conversation_comes_back_from_its_bytes_as_it_was(said: list[Answer], title: str, good: bool) -> None:
    turns = tuple(Turn(a, 1.5, MappingProxyType({"strictness": "strict"}), good, Feedback(good, title)) for a in said)
    kept = Conversation("0" * 16, title, 1.0, 2.0, turns)
    assert read(json.loads(written(kept))) == kept
    assert read(json.loads(json.dumps(plain_of(kept)))) == kept


@pytest.mark.parametrize(
    "plain",
    [
        None, 3, [], {}, {"question": "q"},
        {"question": "q", "text": 3, "claims": [], "evidence": [], "outcome": "answered"},
        {"question": "q", "text": "", "claims": [], "evidence": [], "outcome": "perhaps"},
        {"question": "q", "text": "", "claims": [{}], "evidence": [], "outcome": "answered"},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match="no Answer"):
        from_json(Answer, plain)


def test_a_quote_that_was_changed_in_the_file_cannot_become_a_citation() -> None:
    plain = to_json(answer_to("?").citations[0])
    plain["quote"] += "!"
    with pytest.raises(ValueError, match="cannot fill"):
        from_json(Citation, plain)


def test_turns_are_kept_and_found_again_by_another_keeper(tmp_path: Path) -> None:
    clock = iter(range(100, 200))
    keeper = Conversations(tmp_path / "kept", lambda: float(next(clock)))
    trees = keeper.add(None, answer_to("How many trees?"), settings={"strictness": "strict"})
    keeper.add(trees.id, answer_to("And why?"))
    tax = keeper.add(None, answer_to("What tax?", Outcome.NOTHING))
    again = Conversations(tmp_path / "kept")
    assert [(r.title, r.turns) for r in again.rows()] == [("What tax?", 1), ("How many trees?", 2)]
    assert again.load(trees.id) == keeper.load(trees.id)
    assert [t.answer.question for t in again.load(trees.id).turns] == ["How many trees?", "And why?"]
    assert again.load(trees.id).turns[0].settings == {"strictness": "strict"}
    assert [r.title for r in again.rows("TREES why")] == ["How many trees?"]
    assert again.rows("trees nowhere") == []
    assert again.rename(tax.id, "  Money\nmatters ").title == "Money matters"
    assert [r.title for r in keeper.rows()] == ["Money matters", "How many trees?"]  # the first keeper sees it
    assert keeper.rename(tax.id, " ").title == "What tax?"
    assert again.delete(tax.id) and not again.delete(tax.id)
    assert [r.id for r in keeper.rows()] == [trees.id]


def test_a_turn_that_was_asked_again_stays_and_no_follow_up_leans_on_it(tmp_path: Path) -> None:
    keeper = Conversations(tmp_path)
    one = keeper.add(None, answer_to("first"))
    keeper.add(one.id, answer_to("second"))
    now = keeper.add(one.id, answer_to("second, in other words"), instead_of=1)
    assert [t.replaced for t in now.turns] == [False, True, False]
    assert [q for q, _ in now.history()] == ["first", "second, in other words"]
    assert [q for q, _ in now.history(before=2)] == ["first"]


@pytest.mark.parametrize("id_", ["", "..", "../../etc/passwd", "a/b", "0" * 15, "G" * 16, "0" * 16, "\x00" * 16])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, id_: str) -> None:
    keeper = Conversations(tmp_path / "kept")
    for act in (keeper.load, keeper.delete if id_ != "0" * 16 else keeper.load, lambda i: keeper.rename(i, "x")):
        with pytest.raises(ConversationMissing):
            act(id_)


def test_a_damaged_file_is_set_aside_and_the_others_stay(tmp_path: Path) -> None:
    keeper = Conversations(tmp_path)
    good, bad = keeper.add(None, answer_to("good")), keeper.add(None, answer_to("bad"))
    path = tmp_path / f"{bad.id}.json"
    whole = path.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"\x00" * 100, whole.replace(b"1912", b"1913"), b"[" * 100_000):
        path.write_bytes(broken)
        (tmp_path / f"{bad.id}.json.damaged").unlink(missing_ok=True)
        fresh = Conversations(tmp_path)
        assert [r.id for r in fresh.rows()] == [good.id]
        assert [p.name for p in fresh.damaged()] == [f"{bad.id}.json.damaged"]
        assert fresh.damaged()[0].read_bytes() == broken
    path.write_bytes(whole[:-5])
    with pytest.raises(ConversationDamaged) as error:
        keeper.load(bad.id)
    assert "set aside" in error.value.hint
    with pytest.raises(ConversationMissing):
        keeper.load(bad.id)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    keeper = Conversations(tmp_path)
    kept = keeper.add(None, answer_to("trees?"))
    path = tmp_path / f"{kept.id}.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with contextlib.suppress(ConversationDamaged):
            assert Conversations(tmp_path).load(kept.id) == kept  # a flip in an escape may mean the same
        (tmp_path / f"{kept.id}.json.damaged").unlink(missing_ok=True)


KILLED = """
import sys
from pathlib import Path
from rag.conversation import Conversations
from tests.test_conversation import answer_to
keeper, answer = Conversations(Path(sys.argv[1])), answer_to("trees?")
one = keeper.add(None, answer)
print(one.id, flush=True)
while True:
    one = keeper.add(one.id, answer)
    print(len(one.turns), flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_turn_that_was_acknowledged(tmp_path: Path) -> None:
    for n in range(12):
        folder = tmp_path / str(n)
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        id_ = process.stdout.readline().decode().strip()
        time.sleep(0.02 + n * 0.007)
        os.kill(process.pid, signal.SIGKILL)
        told = [int(line) for line in process.stdout.read().split()]
        process.wait(10)
        keeper = Conversations(folder)
        turns = len(keeper.load(id_).turns)
        assert max(told, default=1) <= turns <= max(told, default=1) + 1
        assert keeper.damaged() == []
        keeper.add(id_, answer_to("after"))
        assert {p.name for p in folder.iterdir()} == {f"{id_}.json", "LOCK"}  # what the dead left is gone


def _add_twenty(folder: Path, id_: str, name: str) -> None:
    keeper = Conversations(folder)
    for n in range(20):
        keeper.add(id_, answer_to(f"{name} {n}"))


def test_two_processes_write_one_conversation_and_no_turn_is_lost(tmp_path: Path) -> None:
    id_ = Conversations(tmp_path).add(None, answer_to("begin")).id
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_add_twenty, args=(tmp_path, id_, name)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    asked = [t.answer.question for t in Conversations(tmp_path).load(id_).turns]
    assert sorted(asked) == sorted(["begin", *(f"{name} {n}" for name in "ab" for n in range(20))])


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", "utf-8")
    with pytest.raises(RagError, match="cannot be written"):
        Conversations(tmp_path / "file" / "kept").add(None, answer_to("?"))
    assert Conversations(tmp_path / "nowhere").rows() == []
    assert not (tmp_path / "nowhere").exists()  # who only looks makes nothing


def test_a_rating_is_kept_with_its_note_and_can_be_taken_back(tmp_path: Path) -> None:
    keeper = Conversations(tmp_path, lambda: 7.0)
    id_ = keeper.add(None, answer_to("trees?")).id
    assert keeper.rate(id_, 0, False, " wrong year ").turns[0].feedback == Feedback(False, "wrong year", 7.0)
    assert len(keeper.rate(id_, 0, True, "x" * 10_000).turns[0].feedback.note) == 4000  # type: ignore[union-attr]
    assert keeper.rate(id_, 0, None).turns[0].feedback is None
    with pytest.raises(ConversationMissing):
        keeper.rate(id_, 5, True)


# -- out of the house --------------------------------------------------------------------------------------------------


def test_an_exported_conversation_says_of_each_citation_whether_it_still_holds() -> None:
    fake = FakeAssistant()
    conversation = Conversation("0" * 16, "t", 0.0, 0.0, (Turn(answer_to("trees?"), 0.0),))
    exported = read(json.loads(json.dumps(plain_of(conversation))))
    assert [c.standing for c in verify(exported, fake.standing)] == ["holds", "holds"]
    trees = fake.trees
    fake.documents[trees.source.id] = Document(trees.source, trees.text.replace("1912", "1913"))
    assert [(c.turn, c.number, c.standing) for c in verify(exported, fake.standing)] == [
        (1, 1, "holds"), (1, 2, "stale"),
    ]  # fmt: skip
    fake.remove(trees.source.id)
    assert [c.standing for c in verify(exported, fake.standing)] == ["gone", "gone"]


def test_markdown_numbers_its_quotes_and_leaves_out_what_was_asked_again() -> None:
    old, new = Turn(answer_to("trees, first try"), 0.0, replaced=True), Turn(answer_to("trees?"), 0.0)
    text = markdown(Conversation("0" * 16, "Trees", 0.0, 0.0, (old, new)))
    assert text.startswith("# Trees\n\n## trees?\n\n*Answered from your documents, ")
    assert "Japan will give 250 cherry trees.[^2-1] It repeats a gift of 1912.[^2-2][^2-1]" in text
    assert (
        "[^2-1]: “Japan will donate 250 cherry blossom trees to the United States.” A visit in October, line 2" in text
    )
    assert "first try" not in text


class _Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_no_payload_is_alive_in_exported_markdown() -> None:
    from markdown_it import MarkdownIt

    *_, answer = FakeAssistant().stream("hostile question")
    assert isinstance(answer, Answer)
    asked = Answer("\n".join(PAYLOADS), answer.text, answer.claims, (), answer.outcome)
    for title in PAYLOADS:
        text = markdown(Conversation("0" * 16, title, 0.0, 0.0, (Turn(asked, 0.0),)))
        html = MarkdownIt("commonmark", {"html": True}).render(text)
        assert _Elements(html).seen <= {"h1", "h2", "p", "em", "ol", "ul", "li"}, title


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_a_title_in_markdown_reads_as_it_was_written(title: str) -> None:
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark", {"html": True}).render(markdown(Conversation("0" * 16, title, 0.0, 0.0)))
    read_back: list[str] = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = read_back.append  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    assert "".join(read_back).split() == title.split()


def test_rated_answers_become_cases_of_an_evaluation(tmp_path: Path) -> None:
    keeper = Conversations(tmp_path)
    id_ = keeper.add(None, answer_to("trees?")).id
    keeper.add(id_, answer_to("the king?", Outcome.NOTHING))
    keeper.add(id_, answer_to("the trees?"))
    keeper.add(id_, answer_to("not rated"))
    keeper.rate(id_, 0, True)
    keeper.rate(id_, 1, True, "right, it is not there")
    keeper.rate(id_, 2, False, "it was 1913")
    good, refusal, bad = cases([keeper.load(id_)])
    assert good["answers"] == ["250 cherry blossom trees", "1912"]
    assert good["gold"] == [good["passages"][0]["id"]]
    assert [e["text"] in good["passages"][0]["text"] for e in good["evidence"]] == [True, True]
    assert {c["id"] for c in (good, refusal, bad)} == {f"{id_}-{n}" for n in range(3)}
    assert [c["answerable"] for c in (good, refusal, bad)] == [True, False, None]
    assert (bad["answers"], bad["note"], refusal["answers"]) == ([], "it was 1913", [])


def test_a_long_title_is_cut_at_a_word() -> None:
    assert titled("word " * 100) == "word " * 22 + "word…"
    assert titled(" \n\x00 ") == "Untitled"


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_terminal_lists_exports_verifies_and_deletes_and_gives_the_ratings_as_cases(
    seeds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import rag
    from rag.cli import main

    folder = tmp_path / "index"
    own = tmp_path / "trees.txt"
    own.write_text("Japan will give 250 cherry trees to the city. They arrive in 2026.", "utf-8")
    with rag.open(folder, documents=own, llm_model="none") as assistant:
        answer = assistant.ask("How many cherry trees will Japan give?")
        id_ = assistant.conversations.add(None, answer).id
        assistant.conversations.rate(id_, 0, True, "right")

    def said(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rag", *words, "--index", str(folder)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().out

    assert id_ in said("conversations", "list")[1]
    assert id_ not in said("conversations", "list", "nowhere")[1]
    assert "[^1-1]: “Japan will give 250 cherry trees" in said("conversations", "export", id_[:6])[1]
    out = tmp_path / "talk.json"
    assert said("conversations", "export", id_, "--json", "--out", str(out))[0] == 0
    code, told = said("conversations", "verify", str(out))
    assert (code, "holds" in told) == (0, True)
    (case,) = (json.loads(line) for line in said("feedback")[1].splitlines())
    assert (case["question"], case["answerable"], case["note"]) == (answer.question, True, "right")
    own.write_text("Japan will give nothing.", "utf-8")
    with rag.open(folder, documents=own, llm_model="none"):
        pass
    code, told = said("conversations", "verify", str(out))
    assert (code, "stale" in told) == (4, True)
    out.write_text("{}", "utf-8")
    assert said("conversations", "verify", str(out))[0] == 7
    assert said("conversations", "export", "zzz")[0] == 2
    assert said("conversations", "delete", id_)[0] == 0
    assert said("conversations", "list")[1] == ""
