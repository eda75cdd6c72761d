"""The chat page without a browser: what it makes of answers and documents, who may ask, how a question is stopped."""

from __future__ import annotations

import asyncio
import base64
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.add import Report
from rag.chat import history, library, names, serve, settings, shelving, show
from rag.chat.asking import Wish, asking
from rag.chat.live import Live, finished
from rag.chat.routes import _opened
from rag.chat.source import panel
from rag.chat.talk import Running, Talk
from rag.chat.texts import say
from rag.chat.watching import Watching
from rag.conversation import Conversation, Conversations, Feedback, Summary, Turn, read
from rag.conversation.export import verify
from rag.errors import UsageError
from rag.files import kept, safe_name, sha256_of
from rag.filters import Filter
from rag.suggest import candidates, suggestions
from rag.types import (
    Answer,
    Citation,
    Claim,
    Document,
    Event,
    Mark,
    Origin,
    Outcome,
    Quoted,
    Side,
    Source,
    Span,
    Verdict,
    Waits,
    Wrote,
)
from rag.web import trusts
from tests.browser.fake_assistant import PAYLOADS, FakeAssistant

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r") | st.sampled_from("<>&\"'\n😀"), min_size=1)


class Reader(HTMLParser):
    """Reads HTML as a browser would: elements, text, and the text under <mark>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.text, self.marked, self.key, self._under = "", "", "", []  # type: ignore[var-annotated]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._under.append(tag + "." + (dict(attrs).get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        self._under.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        self.marked += data if any(u.startswith("mark") for u in self._under) else ""
        self.key += data if "mark.key" in self._under else ""


def _document(text: str, marks: tuple[Mark, ...] = ()) -> Document:
    return Document(Source.at("file:///a.txt", "a"), text, marks)


# -- documents ---------------------------------------------------------------------------------------------------------


@given(TEXTS, st.data())
def test_what_is_marked_in_the_panel_is_the_quote_and_the_answer_in_it(text: str, data: st.DataObject) -> None:
    start, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    first, last = sorted((data.draw(st.integers(start, end)), data.draw(st.integers(start, end))))
    read = Reader(panel(_document(text), Span(start, end), Span(first, last)))

    def without_breaks(part: str) -> str:  # blank lines are layout, controls cannot be shown; all the rest counts
        return re.sub(r"[\s\x00-\x1f\N{REPLACEMENT CHARACTER}]", "", part)

    assert without_breaks(read.marked) == without_breaks(text[start:end])
    assert without_breaks(read.key) == without_breaks(text[first:last])
    assert without_breaks(text) in without_breaks(read.text)


def test_pages_and_headings_of_a_document_are_shown_where_they_begin() -> None:
    text = "Refunds\nWithin ten days.\n\nReturns\nNever."
    marks = (
        Mark(Span(0, 25), "page", "p. 1"),
        Mark(Span(25, 40), "page", "p. 2"),
        Mark(Span(0, 25), "heading", "Refunds", 1),
    )
    html = panel(_document(text, marks), Span(8, 14))
    shown = re.findall(r'<p class="(\w+)[^>]*>(.*?)</p>', html.split('class="text"')[1], re.S)
    assert shown == [
        ("page", "p. 1"),
        ("h", "Refunds"),
        ("l", "<mark>Within</mark> ten days."),
        ("page", "p. 2"),
        ("l", "Returns\nNever."),
    ]


def test_rows_and_lines_of_code_stand_by_themselves_where_prose_is_joined() -> None:
    text = "one\ntwo\nthree"
    rows = tuple(Mark(Span(a, b), "row", f"row {a}") for a, b in ((0, 3), (4, 7), (8, 13)))
    code = Document(Source.at("file:///a.py", "a.py", "text/x-python"), text)
    for document, lines in ((_document(text), 1), (_document(text, rows), 3), (code, 3)):
        assert panel(document, Span(0, 1)).count('<p class="l') == lines


def test_a_place_that_the_document_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        panel(_document("short"), Span(2, 9))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_no_payload_becomes_an_element_in_any_part_of_an_answer() -> None:
    fake = FakeAssistant()
    *_, answer = fake.stream("hostile question")
    assert isinstance(answer, Answer)
    turns = tuple(Turn(answer, 0.0, {"retrieve.k": p}, False, Feedback(True, p)) for p in PAYLOADS)
    talk = Conversation("0" * 16, PAYLOADS[0], 0.0, 0.0, turns)
    rows = [Summary("0" * 16, p, 0.0, 0.0, 1) for p in PAYLOADS]
    html = finished(answer) + panel(fake.hostile, Span(0, 3)) + library.shelf(fake.sources())
    html += history.turns(talk, lambda citation: None) + history.listing(rows, PAYLOADS[0], PAYLOADS)
    html += library.empty(fake.sources()) + settings.panel(fake.config)
    ours = (
        "article section div p i b span bdi button blockquote footer small ol ul li h1 h2 h3 h4 pre details summary"
        " header svg path dl dt dd select option"
    )
    read = Reader(html)
    assert set(read.elements) <= {*ours.split(), "mark", "label", "input"}
    assert {name for name in read.attributes if not name.startswith(("data-", "aria-"))} <= {
        "class", "dir", "type", "title", "style", "tabindex", "checked", "hidden", "value", "placeholder", "maxlength",
        "viewbox", "d", "role",
    }  # fmt: skip
    assert all(show.esc(payload) in html for payload in PAYLOADS)


@given(st.text(st.characters(), max_size=50))
def test_escaped_text_can_be_sent_and_reads_as_itself(text: str) -> None:
    sent = show.esc(text).encode("utf-8")
    read = Reader(sent.decode("utf-8"))
    assert read.elements == []
    assert len(read.text) == len(text)  # what cannot be sent is replaced one for one


def test_a_sentence_of_the_model_and_a_quote_look_different_and_carry_their_numbers() -> None:
    document = _document("Ten trees came. Nine stayed.")
    one, two = Citation.cut(document, Span(0, 15)), Citation.cut(document, Span(16, 28))
    text = "There were ten.\n\nNine stayed."
    claims = (
        Claim(Span(0, 15), (one,), Verdict.SUPPORTED, Origin.MODEL),
        Claim(Span(17, 29), (two,), Verdict.PARTIAL, Origin.QUOTE),
    )
    html = show.words(Answer("?", text, claims, (), Outcome.ANSWERED))
    assert re.search(r'<p[^>]*><span class="claim supported">There were ten.</span>.*?data-n="1".*?</p>', html)
    assert re.search(r'<blockquote[^>]*><p>Nine stayed\..*partly.*?data-n="2"', html)


def test_where_nothing_is_confirmed_no_short_answer_is_marked() -> None:
    quote = Citation.cut(_document("Ten trees came."), Span(0, 15), Span(0, 3))
    answer = Answer(
        "?", quote.quote, (Claim(Span(0, 15), (quote,), Verdict.SUPPORTED, Origin.QUOTE),), (), Outcome.CLOSEST
    )
    assert "<b>Ten</b>" not in finished(answer)
    assert 'data-answer=""' in finished(answer)


def test_waiting_is_never_silent() -> None:
    now = [0.0]
    live = Live("why?", clock=lambda: now[0])
    assert "Searching" in live.html and " s</p>" not in live.html
    live.take([Quoted((Citation.cut(_document("Ten trees came."), Span(0, 15)),))])
    assert "Ten trees came." in live.html
    now[0] = 7.2
    assert "7 s</p>" in live.html


def test_a_question_that_waits_says_how_many_are_before_it_and_about_how_long() -> None:
    live = Live("why?", turn_s=4.0)
    live.take([Waits(2)])
    assert "2 questions are before yours, about 8 s to go" in live.html
    live.take([Waits(1)])
    assert "1 question is before yours, about 4 s to go" in live.html
    live.take([Wrote("Ten.")])
    assert "before yours" not in live.html


def test_documents_that_differ_stand_side_by_side_and_a_refusal_offers_the_nearest_passages() -> None:
    document = _document("Ten trees came. Nine trees came.")
    ten, nine = Citation.cut(document, Span(0, 15)), Citation.cut(document, Span(16, 32))
    sides = (Side("Ten", (ten,), "2024"), Side("Nine", (nine,)))
    html = finished(Answer("?", "They differ.", (), (), Outcome.ANSWERED, conflicts=sides))
    assert re.search(
        r'<b dir="auto">Ten</b><small>as of 2024</small>.*data-n="1".*<b dir="auto">Nine</b>.*data-n="2"', html
    )
    refused = finished(Answer("?", "No.", (), (), Outcome.NOTHING), nearest=(ten,))
    assert "Show the nearest passages" in refused and "Ten trees came." in refused
    assert "nearest" not in finished(Answer("?", "No.", (), (), Outcome.NOTHING))


def test_a_quote_that_moved_leads_to_its_new_place_and_one_that_is_lost_says_so() -> None:
    *_, answer = FakeAssistant().stream("trees?")
    assert isinstance(answer, Answer)
    first, second = answer.citations
    moved = replace(first, span=first.span.shift(5), answer=first.answer.shift(5))  # type: ignore[union-attr]
    talk = Conversation("0" * 16, "t", 0.0, 0.0, (Turn(answer, 0.0),))
    html = history.turns(talk, {first: moved, second: None}.get)
    assert f'data-quote="{moved.span.start}-{moved.span.end}"' in html
    assert f'data-quote="{first.span.start}-' not in html
    lost = re.findall(r'class="cite lost"[^>]*data-n="(\d)"', html)
    assert lost == ["2"] and say("source.lost") in html


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("annual_report-2024.pdf", "", "Annual report 2024"),
        ("001_6b10a84c2a205f2b.txt", "", "001_6b10a84c2a205f2b.txt"),
        ("x.pdf", "The Annual Report", "The Annual Report"),
        ("%E6%9D%B1%E4%BA%AC_%E8%B3%87%E6%96%99.txt", "東京_資料.txt", "東京 資料"),
        ("notes.v2.txt", "", "Notes.v2"),
        ("2024.txt", "", "2024.txt"),
    ],
)
def test_a_bare_file_name_is_read_as_words_and_a_title_stays(name: str, title: str, said: str) -> None:
    assert names.shown(Source.at(f"file:///a/{name}", title or name)) == said


def test_what_the_page_sends_along_is_taken_only_where_it_makes_sense() -> None:
    for text in ("", "x", "[]", "null", '{"settings": 3, "without": 4, "conversation": 5}', "[" * 100_000):
        assert Wish.read(text) == Wish()
    sent = '{"settings": {"models.folder": "/", "answer.strictness": "strict", "llm.model": ""}, "without": ["a"]}'
    assert Wish.read(sent) == Wish(without=frozenset({"a"}), settings={"answer.strictness": "strict"})


def test_what_cannot_be_kept_is_said_under_the_answer(tmp_path: Path) -> None:
    fake = FakeAssistant()
    (tmp_path / "file").write_text("", "utf-8")
    fake.conversations = Conversations(tmp_path / "file" / "kept")

    async def shown() -> str:
        return [html async for _, html in asking(fake, None)("repeat one", Talk())][-1]  # type: ignore[arg-type]

    html = asyncio.run(shown())
    assert "said: repeat one" in html and "This answer could not be kept" in html
    assert 'class="how"' in html and "data-place" not in html


def test_suggested_questions_are_those_that_their_own_document_answers() -> None:
    trees = _document("Japan will donate 250 cherry trees to the city. The bridge was opened in 1999. It is a park.")
    wrong = Document(Source.at("file:///b", "b"), "The Tower was built in 1889. Everest is a mountain.")
    assert list(candidates(trees)) == ["How many cherry trees will Japan donate?", "When was the bridge opened?"]
    assert list(candidates(_document("The mill at Old Linden was built in 1931. The tower of Wick has 98 steps."))) == [
        "When was the mill at Old Linden built?",
        "How many steps does the tower of Wick have?",
    ]
    asked: list[str] = []

    def ask(question: str) -> Answer:
        asked.append(question)
        quote = Citation.cut(trees, Span(0, 5))
        outcome = Outcome.CLOSEST if "bridge" in question else Outcome.ANSWERED
        return Answer(question, "Japan", (Claim(Span(0, 5), (quote,), Verdict.SUPPORTED),), (), outcome)

    assert list(suggestions([trees, wrong], ask, 4)) == ["How many cherry trees will Japan donate?"]
    assert len(asked) == 4
    asked.clear()
    assert len(list(suggestions([trees, wrong], ask, 1))) == len(asked) == 1
    asked.clear()
    assert len(list(suggestions([trees, trees], ask, 4))) == 1 and len(asked) == 2  # each is asked once


def test_questions_known_beforehand_stand_first_until_something_newer_is_there_and_then_fill_up() -> None:
    fake = FakeAssistant()
    seed, other = (row for row in fake.sources() if row.source.id in (fake.trees.source.id, fake.long.source.id))
    known = library.examples([seed])
    assert all(f">{text}<" in library.empty([seed, other]) for text in map(show.esc, known)) and len(known) == 2
    newer = replace(other, added=seed.added + 1)
    assert "data-ideas" in library.empty([seed, newer]) and show.esc(known[0]) not in library.empty([seed, newer])
    ideas = library.Ideas(SimpleNamespace(sources=lambda: [seed, newer], document=fake.document))  # type: ignore[arg-type]
    end = time.monotonic() + 10
    while not (found := ideas.html())[1] and time.monotonic() < end:
        time.sleep(0.02)
    assert found == (library._asks(known), True)


def test_documents_that_are_called_the_same_are_told_apart_by_their_files() -> None:
    rows = FakeAssistant().sources()[:2]
    assert "<small><bdi>" not in library.shelf(rows) and "9&nbsp;Oct" in library.shelf(rows)
    same = [replace(row, source=replace(row.source, title="Rules")) for row in rows]
    told = re.findall(r"<small><bdi>(.*?)</bdi>", library.shelf(same))
    assert told == ["001_6b10a84c2a205f2b.txt", "long.txt"]


def test_a_heading_that_is_the_title_is_not_said_twice() -> None:
    text = "Rules\nTen trees came."
    document = Document(Source.at("file:///a", "Rules"), text, (Mark(Span(0, len(text)), "heading", "Rules", 1),))
    citation = Citation.cut(document, Span(6, 21))
    assert citation.where == "Rules"
    assert re.findall(r'<span class="where">(.*?)</span>', show.cards((citation,), "")) == ["<bdi>Rules</bdi>"]


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_stopping_closes_an_iterator_that_waits_and_one_that_works() -> None:
    closed: list[float] = []

    def pieces(pause: float) -> Iterator[Event]:
        try:
            for _ in range(1000):
                yield Wrote("x")
                time.sleep(pause)
        finally:
            closed.append(time.monotonic())

    async def stopped_after(pause: float) -> float:
        running = Running(lambda: pieces(pause))
        async for _ in running.batches():
            running.stop()
            asked = time.monotonic()
        while not closed and time.monotonic() < asked + 5:
            await asyncio.sleep(0.01)
        return closed.pop() - asked

    assert asyncio.run(stopped_after(0.0)) < 1
    assert asyncio.run(stopped_after(0.5)) < 1


def test_an_iterator_that_can_be_closed_from_outside_is_closed_while_it_works() -> None:
    class Prefill:
        """Says nothing until it is closed, as a model does that reads a long prompt."""

        closed = threading.Event()

        def __iter__(self) -> Iterator[Event]:
            return self

        def __next__(self) -> Event:
            self.closed.wait(20)
            raise StopIteration

        def close(self) -> None:
            self.closed.set()

    async def stopped() -> float:
        running = Running(Prefill)
        async for _ in running.batches():  # the first beat
            asked = time.monotonic()
            running.stop()
        return time.monotonic() - asked

    assert asyncio.run(stopped()) < 1
    assert Prefill.closed.is_set()


def test_events_arrive_in_order_and_an_error_after_them() -> None:
    def pieces() -> Iterator[Event]:
        yield from (Wrote(str(n)) for n in range(500))
        raise UsageError("no")

    async def all_of_them() -> str:
        said = ""
        with pytest.raises(UsageError):
            async for batch in Running(pieces).batches():
                said += "".join(event.text for event in batch if isinstance(event, Wrote))
        return said

    assert asyncio.run(all_of_them()) == "".join(map(str, range(500)))


def test_a_silent_iterator_gives_empty_batches_so_that_a_closed_page_is_noticed() -> None:
    let_go = threading.Event()

    def silence() -> Iterator[Event]:
        let_go.wait(10)
        yield Wrote("at last")

    async def first_batches() -> list[list[Event]]:
        seen: list[list[Event]] = []
        async for batch in Running(silence).batches():
            seen.append(batch)
            if len(seen) == 2:
                let_go.set()
        return seen

    assert asyncio.run(first_batches()) == [[], [], [Wrote("at last")]]


def test_a_crowd_is_told_at_once_that_it_must_wait_and_a_stop_makes_room() -> None:
    async def turns() -> tuple[str, str]:
        ask = asking(FakeAssistant(), None)  # type: ignore[arg-type]
        crowd = [ask("silent question", Talk()) for _ in range(9)]
        for question in crowd:
            await anext(question)
            await anext(question)
        refused = [html async for _, html in ask("repeat one", Talk())][-1]
        await crowd[0].aclose()
        answered = [html async for _, html in ask("repeat two", Talk())][-1]
        for question in crowd[1:]:
            await question.aclose()
        return refused, answered

    refused, answered = asyncio.run(turns())
    assert "9 questions are on their way already" in refused
    assert "said: repeat two" in answered


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    from starlette.testclient import TestClient

    from rag.chat import build

    fake = FakeAssistant()
    with TestClient(build(fake), base_url="http://127.0.0.1:7860") as client:  # type: ignore[arg-type]
        client.fake = fake
        yield client


ROUTES = (
    "/",
    "/config",
    "/page/source/x?quote=0-1",
    "/page/start",
    "/page/talks",
    "/page/talk/0000000000000000",
    "/page/original/x",
    "/gradio_api/info",
    "/gradio_api/heartbeat/x",
    "/theme.css",
    "/nowhere",
)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_refuses_a_foreign_host_and_a_foreign_origin_and_carries_the_policy(web: Any, route: str) -> None:
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ):
        reply = web.get(route, headers=headers)
        assert reply.status_code == status
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers


def test_own_requests_pass_and_carry_the_policy(web: Any) -> None:
    for headers in ({}, {"origin": "http://127.0.0.1:7860"}, {"host": "localhost:7860"}):
        reply = web.get("/", headers=headers)
        assert reply.status_code == 200
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers


def test_a_request_that_is_too_large_is_refused_before_it_is_read(web: Any) -> None:
    assert web.post("/gradio_api/upload", headers={"content-length": str(10**10)}).status_code == 413


def test_a_source_is_shown_and_a_place_that_is_gone_says_so(web: Any) -> None:
    trees = web.fake.trees
    reply = web.get(f"/page/source/{trees.source.id}?quote=0-7&answer=2-7")
    assert Reader(reply.text).marked == "A visit"
    for query in ("quote=0-99999", "quote=x", "quote=7-0", "quote=0-7&answer=0-9"):
        gone = web.get(f"/page/source/{trees.source.id}?{query}")
        assert (gone.status_code, "no longer in the library" in gone.text) == (404, True)
    assert web.get("/page/source/unknown?quote=0-1").status_code == 404


def test_a_quote_is_never_marked_in_a_document_that_says_something_else_there_now(web: Any) -> None:
    trees = web.fake.trees
    right = f"/page/source/{trees.source.id}?quote=0-7&sum={show.sum_of('A visit')}"
    assert web.get(right).status_code == 200
    other = web.get(right.replace("quote=0-7", "quote=1-8"))
    assert (other.status_code, "mark" in other.text, "no longer says this" in other.text) == (404, False, True)


def test_what_changes_something_is_refused_from_elsewhere(web: Any) -> None:
    talk = web.fake.conversations.add(None, _said("trees?"))
    evil = {"origin": "http://evil.example"}
    for verb, url in (
        ("PUT", f"/page/talk/{talk.id}"),
        ("DELETE", f"/page/talk/{talk.id}"),
        ("PUT", f"/page/turn/{talk.id}/0/rating"),
        ("DELETE", f"/page/source/{web.fake.trees.source.id}"),
    ):
        assert web.request(verb, url, json={"title": "x", "good": True}, headers=evil).status_code == 403
        assert web.get(url).status_code < 500  # a link can change nothing
    assert web.fake.conversations.load(talk.id) == talk
    assert web.fake.trees.source.id in web.fake.documents


def test_a_conversation_is_listed_opened_renamed_rated_exported_and_deleted(web: Any) -> None:
    talk = web.fake.conversations.add(None, _said("trees? \ud800"))
    url = f"/page/talk/{talk.id}"
    assert talk.id in web.get("/page/talks?words=TREES").text
    assert talk.id not in web.get("/page/talks?words=nowhere").text
    assert web.get(url).json()["id"] == talk.id
    assert web.get("/page/start", params={"talk": talk.id}).json()["talk"]["id"] == talk.id
    assert web.put(url, json={"title": "Gifts"}).json() == {"title": "Gifts"}
    assert web.put(f"/page/turn/{talk.id}/0/rating", json={"good": False, "note": "no"}).status_code == 200
    assert web.fake.conversations.load(talk.id).turns[0].feedback.note == "no"
    assert "93%" in web.get(f"/page/turn/{talk.id}/0/how").text
    told = web.get(f"{url}/export.md")
    assert told.headers["content-disposition"].startswith('attachment; filename="Gifts.md"')
    assert told.text.startswith("# Gifts\n\n## trees?")
    exported = read(web.get(f"{url}/export.json").json())
    assert {c.standing for c in verify(exported, web.fake.standing)} == {"holds"}
    assert web.delete(url).json() == {"deleted": True}
    for gone in (url, f"{url}/export.md", f"/page/turn/{talk.id}/0/how", "/page/talk/..%2Fx", "/page/turn/x/0/how"):
        assert web.get(gone).status_code == 404
    assert "there is no conversation" in web.get("/page/start", params={"talk": talk.id}).json()["lost"]
    assert web.put(f"/page/turn/{talk.id}/0/rating", json={"good": True}).status_code == 404


def test_the_original_is_saved_not_shown_and_only_while_it_is_what_was_read(web: Any, tmp_path: Path) -> None:
    file = tmp_path / "a page.html"
    file.write_text("<script>document.title='pwned'</script>words", "utf-8")
    source = Source.at(file.as_uri(), file.name)
    web.fake.documents[source.id] = Document(source, "words")
    web.fake.digests[source.id] = sha256_of(file)
    saved = web.get(f"/page/original/{source.id}")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.content == file.read_bytes()
    file.write_text("other words", "utf-8")
    assert "has changed since it was indexed" in web.get(f"/page/original/{source.id}").text
    file.unlink()
    assert "is gone" in web.get(f"/page/original/{source.id}").text
    assert web.get("/page/original/unknown").status_code == 404


def _said(question: str) -> Answer:
    *_, answer = FakeAssistant().stream("trees?")
    assert isinstance(answer, Answer)
    return replace(answer, question=question)


def test_a_password_is_asked_of_every_request() -> None:
    from starlette.testclient import TestClient

    from rag.chat import build

    app = build(FakeAssistant(), "192.168.1.5", "open sesame")  # type: ignore[arg-type]
    with TestClient(app, base_url="http://192.168.1.5") as client:
        assert {client.get(route).status_code for route in ROUTES} == {401}
        for word, status in (("wrong", 401), ("open sesame", 200)):
            basic = base64.b64encode(f"me:{word}".encode()).decode()
            assert client.get("/", headers={"authorization": f"Basic {basic}"}).status_code == status
        assert client.get("/", headers={"authorization": b"Basic \xff"}).status_code == 401


def test_folders_can_be_named_and_the_language_chosen_only_from_this_computer() -> None:
    from starlette.testclient import TestClient

    from rag.chat import build

    for host, status in (("127.0.0.1", 200), ("192.168.1.5", 404)):
        app = build(FakeAssistant(), host, "word")  # type: ignore[arg-type]
        basic = {"authorization": f"Basic {base64.b64encode(b'me:word').decode()}"}
        with TestClient(app, base_url=f"http://{host}", headers=basic) as client:
            assert client.get("/page/watching").status_code == status
            told = client.get("/page/start").json()
            assert ("watching" in told["watching"]) == ("data-language" in told["settings"]) == (status == 200)
            assert client.put("/page/language", json={"language": "en"}).status_code == status
            refused = client.put("/page/language", json={"language": "../en"})
            assert refused.status_code == (409 if status == 200 else 404) and say("language.code") == "en"


def test_which_names_a_server_answers_to() -> None:
    here, everywhere = trusts("127.0.0.1"), trusts("0.0.0.0", frozenset({"mybox"}))
    assert [here(name) for name in ("localhost", "127.0.0.1", "::1", "192.168.1.5", "mybox", "evil.example", "")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip
    assert [everywhere(name) for name in ("localhost", "192.168.1.5", "mybox", "evil.example", "")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    behind = trusts("127.0.0.1", also=frozenset({"docs.example.org"}))
    assert [behind(name) for name in ("docs.example.org", "evil.example", "192.168.1.5")] == [True, False, False]


def test_an_open_address_needs_a_password() -> None:
    with pytest.raises(UsageError, match="no password") as error:
        serve(FakeAssistant(), host="0.0.0.0")  # type: ignore[arg-type]
    assert "--password" in error.value.hint


def test_a_port_of_ones_own_choice_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be used"):
            serve(FakeAssistant(), port=port)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_page_gives_way_on_a_taken_default_port_and_ends_with_ctrl_c_without_a_traceback() -> None:
    script = "import rag.chat as c; from tests.browser.fake_assistant import FakeAssistant as F; c.serve(F())"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 7860))
            taken.listen()
        except OSError:
            pass  # somebody has it already, which is what is wanted
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", said)[1])  # type: ignore[index]
    assert 7860 < port <= 7880
    assert process.returncode == 0
    assert "Traceback" not in errors


# -- uploads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\x00b.txt", "x" * 300 + ".txt", "\u202etxt.exe", "<img onerror>.md", ".."]
)
def test_a_hostile_file_name_stays_inside_the_folder_and_keeps_its_kind(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert len(safe.encode()) < 255 and not set(safe) & set('<>\x00\u202e/\\"')
    assert not name.endswith((".txt", ".md")) or Path(safe).suffix == Path(name).suffix


def test_the_same_bytes_are_kept_once_whatever_they_are_called_twice(tmp_path: Path) -> None:
    upload = tmp_path / "up" / "note.txt"
    upload.parent.mkdir()
    upload.write_text("hello", "utf-8")
    first, second = (kept(upload.open("rb"), upload.name, tmp_path / "kept") for _ in range(2))
    assert first == second
    assert first.read_text("utf-8") == "hello"
    assert first.parent.name == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # sha256 of "hello"


def test_the_head_says_where_the_words_go() -> None:
    from rag.chat.page import note

    for address in ("", "http://127.0.0.1:8080/v1", "http://localhost:1/v1", "http://[::1]:1/v1"):
        assert "stays on this computer" in note(address)
    told = note("https://api.example.com/v1<b>")
    assert "stays" not in told and "sent to <bdi>api.example.com</bdi>" in told
    assert "<b>" not in note("http://[<b>")


def test_a_reloaded_refusal_still_offers_its_nearest_passages() -> None:
    fake = FakeAssistant()
    tree = fake._cite(fake.trees, "Trade was also discussed.")
    refusal = Answer("king?", "No.", (), (fake._evidence(fake.trees, tree, 0.2),), Outcome.NOTHING)
    kept = fake.conversations.add(None, refusal)
    html = _opened(fake, kept.id)["html"]  # type: ignore[arg-type]
    assert "Show the nearest passages" in html and tree.quote in html
    del fake.documents[fake.trees.source.id]
    assert "Show the nearest passages" not in _opened(fake, kept.id)["html"]  # type: ignore[arg-type]


def test_each_quote_of_documents_that_differ_stands_once() -> None:
    document = _document("Ten trees came. Nine trees came. It rained.")
    ten, nine, rain = (Citation.cut(document, Span(*at)) for at in ((0, 15), (16, 32), (33, 43)))
    said = "They differ. Ten trees came. Nine trees came. It rained."
    claims = (
        Claim(Span(0, 12), (ten, nine), Verdict.SUPPORTED, Origin.RULE),
        Claim(Span(13, 28), (ten,), Verdict.SUPPORTED, Origin.QUOTE),
        Claim(Span(29, 45), (nine,), Verdict.SUPPORTED, Origin.QUOTE),
        Claim(Span(46, 56), (rain,), Verdict.SUPPORTED, Origin.QUOTE),
    )
    answer = Answer("?", said, claims, (), Outcome.ANSWERED, conflicts=(Side("Ten", (ten,)), Side("Nine", (nine,))))
    visible = re.sub(r" (?:title|data-tip)=\"[^\"]*\"", "", finished(answer).split('<div class="tools">')[0])
    assert [visible.count(c.quote) for c in (ten, nine, rain)] == [1, 1, 1]


def test_kinds_and_days_of_a_question_are_taken_only_where_they_make_sense() -> None:
    assert Wish.read('{"where": {"type": "application/pdf", "since": "2025-01-02"}}').where == Filter(
        types=("application/pdf",), since="2025-01-02"
    )
    for text in ('{"where": {"since": "yesterday"}}', '{"where": {}}', '{"where": 3}', '{"where": {"type": null}}'):
        assert Wish.read(text).where is None


def test_a_file_over_the_limit_is_refused_whatever_its_length_says(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelving, "MAX_FILE_MB", 1)
    pieces = (b"x" * 2**16 for _ in range(20))  # sent without a length
    reply = web.put("/page/upload", params={"name": "a.txt"}, content=pieces)
    assert reply.status_code == 413 and "larger than 1 MB" in reply.json()["why"]
    assert web.post("/page/add", json={"keys": ["nothing", "of this"]}).text == '{"said": "Nothing added"}\n'
    assert web.post("/page/add", json={"keys": ["x"] * 501}).status_code == 422


def test_hidden_text_that_was_left_out_of_a_watched_file_is_told(tmp_path: Path) -> None:
    note = ("file:///a/Plan%20%3Cb%3E.docx", "characters of hidden text: 12")

    def watch(folders: list[Path], told: Callable[[Report], None]) -> None:
        told(Report(added=(note[0],), notes=(note,)))

    watching = Watching(SimpleNamespace(folder=tmp_path, watch=watch))  # type: ignore[arg-type]
    watching.on(str(tmp_path))
    assert watching._news[str(tmp_path.resolve())] == "1 added, Plan <b>.docx: characters of hidden text: 12"
