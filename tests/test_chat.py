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
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chat import library, serve, show
from rag.chat.guard import trusts
from rag.chat.live import Live, finished
from rag.chat.page import asking
from rag.chat.source import panel
from rag.chat.talk import Running, Talk
from rag.errors import UsageError
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
    Source,
    Span,
    Verdict,
    Wrote,
)
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


def test_a_place_that_the_document_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        panel(_document("short"), Span(2, 9))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_no_payload_becomes_an_element_in_any_part_of_an_answer() -> None:
    fake = FakeAssistant()
    *_, answer = fake.stream("hostile question")
    assert isinstance(answer, Answer)
    html = finished(answer) + panel(fake.hostile, Span(0, 3)) + library.shelf(fake.sources())
    ours = (
        "article section div p i b span bdi button blockquote footer small ol ul li h2 h3 h4 pre details summary header"
    )
    read = Reader(html)
    assert set(read.elements) <= {*ours.split(), "mark", "label", "input"}
    assert {name for name in read.attributes if not name.startswith(("data-", "aria-"))} <= {
        "class", "dir", "type", "title", "style", "tabindex", "checked",
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


def test_which_names_a_server_answers_to() -> None:
    here, everywhere = trusts("127.0.0.1"), trusts("0.0.0.0", frozenset({"mybox"}))
    assert [here(name) for name in ("localhost", "127.0.0.1", "::1", "192.168.1.5", "mybox", "evil.example", "")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip
    assert [everywhere(name) for name in ("localhost", "192.168.1.5", "mybox", "evil.example", "")] == [
        True, True, True, False, False,
    ]  # fmt: skip


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
    safe = library.safe_name(name)
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert len(safe.encode()) < 255 and not set(safe) & set('<>\x00\u202e/\\"')
    assert not name.endswith((".txt", ".md")) or Path(safe).suffix == Path(name).suffix


def test_the_same_bytes_are_kept_once_whatever_they_are_called_twice(tmp_path: Path) -> None:
    upload = tmp_path / "up" / "note.txt"
    upload.parent.mkdir()
    upload.write_text("hello", "utf-8")
    first, second = library.keep([str(upload), str(upload)], tmp_path / "kept")
    assert first == second
    assert first.read_text("utf-8") == "hello"
    assert first.parent.name == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # sha256 of "hello"
