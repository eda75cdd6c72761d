"""An answer as HTML: its words, its quotes, and a chip that leads to each place.

Everything that comes from a document, a model or a user passes `esc` here before it becomes HTML, and nowhere else is
HTML made from it. The model's wording is running text; the document's own words stand in block quotes.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping, Set

from rag.chat import names
from rag.chat.texts import say
from rag.errors import RagError
from rag.types import Answer, Citation, Claim, Origin, Side, Span, Verdict

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

_AGAIN = (
    ("answer.strictness=strict", "answer.stricter"),
    ("answer.strictness=balanced", "answer.balanced"),
    ("answer.strictness=lenient", "answer.lenient"),
    ("llm.model=none", "answer.no_wording"),
)
_BACKING: Mapping[Verdict, str] = {
    Verdict.SUPPORTED: "answer.backs",
    Verdict.PARTIAL: "answer.backs_partly",
    Verdict.UNSUPPORTED: "answer.backs_not",
}
_THUMB = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5 7v6.5M5 7l2.6-5.2c1.2 0 1.9.9 1.6 2.1L8.7 6.2h3.9c.9 0 '
    '1.5.8 1.3 1.7l-1.1 4.4c-.2.7-.8 1.2-1.5 1.2H5M5 7H2.6v6.5H5"/></svg>'
)
_DOUBTS: Mapping[Verdict, str] = {Verdict.PARTIAL: "answer.partly", Verdict.UNSUPPORTED: "answer.not_confirmed"}


def esc(text: str) -> str:
    """`text` as HTML text or attribute value: nothing in it is markup, and every character can be sent.

    >>> esc('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", sendable(text)), quote=True)


def sendable(text: str) -> str:
    """`text` without lone surrogates: one of them would stop the whole reply."""
    return text.encode("utf-8", "replace").decode("utf-8")


def chip(number: int, citation: Citation, claim: Claim, lost: Set[Citation] = frozenset()) -> str:
    """The numbered button that opens the source at the quote. What the page lays over it (the quote, its place, how it
    bears on the claim) goes along as HTML that was escaped here, in an attribute."""
    name = say("source.named", n=number, title=names.shown(citation.source), where=citation.where)
    gone = citation in lost
    return (
        f'<button type="button" class="cite{" lost" if gone else ""}" {place(number, citation)}'
        f' data-tip="{esc(tip(citation, claim, gone))}"'
        f' aria-label="{esc(name + (". " + say("source.lost") if gone else ""))}">{number}</button>'
    )


def tip(citation: Citation, claim: Claim, gone: bool) -> str:
    """The card that is laid over a chip."""
    kind = "lost" if gone else "own" if claim.origin is Origin.QUOTE else claim.verdict.value
    says = "source.lost" if gone else "answer.own_words" if kind == "own" else _BACKING[claim.verdict]
    return (
        f'<span class="quote" dir="auto">{quoted(citation)}</span><span class="where">{_named(citation)}</span>'
        f'<span class="backs {kind}"><i class="dot" aria-hidden="true"></i>{say(says)}</span>'
    )


def place(number: int, citation: Citation) -> str:
    """What the page needs to open a citation, as attributes. Offsets stay code points: only the server uses them, and
    only where the document still says what the sum was made of."""
    answer = "" if citation.answer is None else f"{citation.answer.start}-{citation.answer.end}"
    return (
        f'data-n="{number}" data-source="{esc(citation.source.id)}"'
        f' data-quote="{citation.span.start}-{citation.span.end}" data-answer="{answer}"'
        f' data-sum="{sum_of(citation.quote)}"'
    )


def sum_of(quote: str) -> str:
    """A short hash of a quote, so that a document which says something else now is never marked as if it said this."""
    return hashlib.sha256(quote.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def quoted(citation: Citation) -> str:
    """The quote, the short answer in it marked."""
    return marked(citation.quote, citation.answer and citation.answer.shift(-citation.span.start))


def marked(text: str, answer: Span | None) -> str:
    """`text` with `answer` in <b>; None marks nothing.

    >>> marked("Send 250 trees.", Span(5, 8))
    'Send <b>250</b> trees.'
    """
    if answer is None:
        return esc(text)
    return f"{esc(text[: answer.start])}<b>{esc(answer.of(text))}</b>{esc(text[answer.end :])}"


def question(text: str) -> str:
    """The user's own words, and a button that takes them up again."""
    again = (
        f'<button type="button" class="plain again" data-text="{esc(text)}" aria-label="{say("talk.edit_says")}">'
        f"{say('talk.edit')}</button>"
    )
    said = f'<div class="asked" dir="auto"><span class="unseen">{say("talk.asked")} </span>{esc(text)}</div>'
    return f'<div class="mine">{again}{said}</div>'


def turn(asked: str, body: str, state: str, place: str = "") -> str:
    """One question and what became of it. `state` is a class of ours: 'running', an outcome, 'stopped', 'failed';
    `place`: 'conversation/turn' where it is kept."""
    kept = f' data-place="{place}"' if place else ""
    return f'<article class="turn {state}"{kept}>{question(asked)}<section class="answer">{body}</section></article>'


def trouble(error: Exception) -> str:
    """An error in one sentence with its cure; what is not ours is not told."""
    if isinstance(error, RagError):
        cure = f'<span class="hint">{esc(error.hint)}</span>' if error.hint else ""
        return f'<p class="error" role="alert">{esc(error.message)} {cure}</p>'
    return f'<p class="error" role="alert">{say("library.unexpected")}</p>'


def chosen(settings: Mapping[str, str]) -> str:
    """What was chosen for one question, over its answer. '' if nothing was."""
    said = ", ".join(_wished(key, value) for key, value in settings.items())
    return f'<p class="chosen">{say("answer.chosen", what=esc(said))}</p>' if said else ""


def _wished(key: str, value: str) -> str:
    if key == "llm.model":
        return say("answer.quotes_alone") if value == "none" else say("answer.worded_by", model=value)
    if key == "retrieve.k":
        return say("library.passages_many", n=value)
    return say(f"settings.{value}") if value in ("strict", "balanced", "lenient") else value


def folded_drawer(place: str) -> str:
    """The closed drawer of an answer that is kept: what lies in it is fetched when it is opened."""
    return f'<details class="how" data-how="{place}"><summary>{say("how.title")}</summary></details>'


def tools(answer: Answer, place: str, good: bool | None, note: str) -> str:
    """What can be done with an answer: copy it, ask again in another way, say whether it is right."""
    copy = (
        f'<button type="button" class="tool copy" data-text="{esc(plain_copy(answer))}">{say("answer.copy")}</button>'
    )
    again = "".join(
        f'<button type="button" class="plain retry" data-how-else="{value}">{say(name)}</button>'
        for value, name in _AGAIN
    )
    name = f'<summary class="tool">{say("answer.again")}</summary>'
    menu = f'<details class="menu">{name}<div class="drop">{again}</div></details>'
    if not place:
        return copy + menu
    rate = "".join(
        f'<button type="button" class="tool rate" data-good="{int(value)}" aria-pressed="{str(good is value).lower()}"'
        f' title="{name}" aria-label="{name}">{_THUMB}</button>'
        for value, name in ((True, say("answer.right")), (False, say("answer.wrong")))
    )
    hidden = "" if good is not None else " hidden"
    form = (
        f'<div class="note-form"{hidden}><input type="text" class="note-text" maxlength="4000" dir="auto"'
        f' value="{esc(note)}" placeholder="{say("answer.note_hint")}"'
        f' aria-label="{say("answer.note")}">'
        f'<button type="button" class="plain keep-note">{say("answer.keep_note")}</button>'
        '<span role="status"></span></div>'
    )
    return copy + menu + rate + form


def conflicts(answer: Answer, lost: Set[Citation] = frozenset()) -> str:
    """Answers of documents that differ, side by side, each with its quotes. '' where they agree."""
    if not answer.conflicts:
        return ""
    numbers = numbered(answer)
    sides = "".join(
        f'<li><b dir="auto">{esc(side.says)}</b>{_as_of(side)}'
        + "".join(_card(numbers[c], c, lost) for c in side.citations)
        + "</li>"
        for side in answer.conflicts
    )
    name = say("answer.differ_says")
    head = f'<div class="conflicts" role="group" aria-label="{name}"><h3>{say("answer.differ")}</h3>'
    return f"{head}<ol>{sides}</ol></div>"


def _as_of(side: Side) -> str:
    return f"<small>{say('answer.as_of', day=esc(side.as_of))}</small>" if side.as_of else ""


def numbered(answer: Answer) -> dict[Citation, int]:
    """Each citation of an answer and of its conflicts with its number, from 1."""
    sides = (c for side in answer.conflicts for c in side.citations)
    return {citation: number for number, citation in enumerate(dict.fromkeys((*answer.citations, *sides)), 1)}


def label(text: str) -> str:
    """The small line over an answer that says what kind of answer it is."""
    return f'<p class="outcome"><i class="dot" aria-hidden="true"></i>{esc(text)}</p>'


def words(answer: Answer, lost: Set[Citation] = frozenset()) -> str:
    """The text of an answer: sentences with their chips in paragraphs, quotes in blocks of their own; those that
    `conflicts` shows stand there alone."""
    numbers = numbered(answer)
    beside = {c for side in answer.conflicts for c in side.citations}
    blocks: list[str] = []
    line: list[str] = []
    at = 0

    def end_paragraph() -> None:
        if "".join(line).strip():
            blocks.append(f'<p dir="auto">{"".join(line).strip()}</p>')
        line.clear()

    def write_plain(text: str) -> None:
        first, *rest = text.split("\n")
        line.append(esc(first))
        for more in rest:
            end_paragraph()
            line.append(esc(more))

    for claim in sorted(answer.claims, key=lambda claim: claim.at.start):
        write_plain(answer.text[at : claim.at.start])
        if claim.origin is Origin.QUOTE and claim.citations and beside.issuperset(claim.citations):
            at = claim.at.end  # it stands among the sides, below
            continue
        if claim.origin is Origin.QUOTE:
            end_paragraph()
            blocks.append(_quote_block(claim, answer, numbers, lost))
        else:
            line.append(_sentence(claim, answer, numbers, lost))
        at = claim.at.end
    write_plain(answer.text[at:])
    end_paragraph()
    return f'<div class="words">{"".join(blocks)}</div>'


def _sentence(claim: Claim, answer: Answer, numbers: Mapping[Citation, int], lost: Set[Citation]) -> str:
    said = esc(claim.at.of(answer.text)).replace("\n", "<br>")
    return f'<span class="claim {claim.verdict.value}">{said}</span>{_chips(claim, numbers, lost)}'


def _quote_block(claim: Claim, answer: Answer, numbers: Mapping[Citation, int], lost: Set[Citation]) -> str:
    said = claim.at.of(answer.text)
    first = claim.citations[0] if claim.citations else None
    inner = quoted(first) if first is not None and first.quote == said else esc(said)
    where = f"<footer>{_named(first)}</footer>" if first is not None else ""
    return (
        f'<blockquote class="claim {claim.verdict.value}" dir="auto"><p>{inner}{_chips(claim, numbers, lost)}</p>'
        f"{where}</blockquote>"
    )


def _chips(claim: Claim, numbers: Mapping[Citation, int], lost: Set[Citation]) -> str:
    """A claim's doubt and numbers, kept together on one line."""
    row = "".join(chip(numbers[c], c, claim, lost) for c in sorted(claim.citations, key=lambda c: numbers[c]))
    return f'<span class="chips">{_doubt(claim)}{row}</span>'


def _doubt(claim: Claim) -> str:
    if claim.verdict not in _DOUBTS:
        return ""
    word = _DOUBTS[claim.verdict]
    return f' <small class="doubt" title="{say(f"{word}_says")}">{say(word)}</small>'


def _named(citation: Citation) -> str:
    """The document and the place in it; a heading that is the document's title says nothing more."""
    title, where = names.shown(citation.source), citation.where
    return f"<bdi>{esc(title)}</bdi>" + (f" &middot; <bdi>{esc(where)}</bdi>" if where != title else "")


def cards(citations: tuple[Citation, ...], heading: str, lost: Set[Citation] = frozenset()) -> str:
    """Quotes as a list of buttons, each opening its place. '' for no citations."""
    if not citations:
        return ""
    rows = "".join(f"<li>{_card(n, c, lost)}</li>" for n, c in enumerate(citations, 1))
    title = f"<h3>{esc(heading)}</h3>" if heading else ""
    return f'<div class="sources">{title}<ol>{rows}</ol></div>'


def _card(number: int, citation: Citation, lost: Set[Citation]) -> str:
    gone = f'<span class="where">{say("source.lost")}.</span>' if citation in lost else ""
    return (
        f'<button type="button" class="card{" lost" if gone else ""}" {place(number, citation)}>'
        f'<b class="n">{number}</b><span class="quote" dir="auto">{quoted(citation)}</span>'
        f'<span class="where">{_named(citation)}</span>{gone}</button>'
    )


def quoted_in_text(answer: Answer) -> bool:
    """True if the answer's text already shows every citation as a block quote, so that cards would repeat it."""
    shown = {c for claim in answer.claims if claim.origin is Origin.QUOTE for c in claim.citations}
    return shown.issuperset(answer.citations)


def plain_copy(answer: Answer) -> str:
    """The answer as plain text for the clipboard: the text, then each quote with its number and place."""
    notes = (f"[{n}] “{c.quote}” - {names.shown(c.source)}, {c.where}" for n, c in enumerate(answer.citations, 1))
    return "\n".join([answer.text, "", *notes]).strip()
