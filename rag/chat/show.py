"""An answer as HTML: its words, its quotes, and a chip that leads to each place.

Everything that comes from a document, a model or a user passes `esc` here before it becomes HTML, and nowhere else is
HTML made from it. The model's wording is running text; the document's own words stand in block quotes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from rag.types import Answer, Citation, Claim, Origin, Outcome, Span, Verdict

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.ANSWERED: "Answered from your documents",
    Outcome.CLOSEST: "Closest passages - not a confirmed answer",
    Outcome.NOTHING: "Not in the documents",
}
UNEXPECTED = "Something unexpected went wrong. The terminal has the report."
_DOUBTS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.PARTIAL: ("partly", "The quote supports part of this sentence"),
    Verdict.UNSUPPORTED: ("not confirmed", "No quote supports this sentence"),
}


def esc(text: str) -> str:
    """`text` as HTML text or attribute value: nothing in it is markup, and every character can be sent.

    >>> esc('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    whole = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate would stop the whole reply
    return html.escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", whole), quote=True)


def chip(number: int, citation: Citation) -> str:
    """The numbered button that opens the source at the quote; hovering shows the quote."""
    name = f"Source {number}: {citation.source.title}, {citation.where}"
    return (
        f'<button type="button" class="cite" {place(number, citation)} title="{esc(citation.quote)}"'
        f' aria-label="{esc(name)}">{number}</button>'
    )


def place(number: int, citation: Citation) -> str:
    """What the page needs to open a citation, as attributes. Offsets stay code points: only the server uses them."""
    answer = "" if citation.answer is None else f"{citation.answer.start}-{citation.answer.end}"
    return (
        f'data-n="{number}" data-source="{esc(citation.source.id)}"'
        f' data-quote="{citation.span.start}-{citation.span.end}" data-answer="{answer}"'
    )


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
    again = f'<button type="button" class="plain again" data-text="{esc(text)}">Edit</button>'
    said = f'<div class="asked" dir="auto"><span class="unseen">You asked: </span>{esc(text)}</div>'
    return f'<div class="mine">{again}{said}</div>'


def turn(asked: str, body: str, state: str) -> str:
    """One question and what became of it. `state` is a class of ours: 'running', an outcome, 'stopped', 'failed'."""
    return f'<article class="turn {state}">{question(asked)}<section class="answer">{body}</section></article>'


def label(text: str) -> str:
    """The small line over an answer that says what kind of answer it is."""
    return f'<p class="outcome"><i class="dot" aria-hidden="true"></i>{esc(text)}</p>'


def words(answer: Answer) -> str:
    """The text of an answer: sentences with their chips in paragraphs, quotes in blocks of their own."""
    numbers = {citation: number for number, citation in enumerate(answer.citations, 1)}
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
        if claim.origin is Origin.QUOTE:
            end_paragraph()
            blocks.append(_quote_block(claim, answer, numbers))
        else:
            line.append(_sentence(claim, answer, numbers))
        at = claim.at.end
    write_plain(answer.text[at:])
    end_paragraph()
    return f'<div class="words">{"".join(blocks)}</div>'


def _sentence(claim: Claim, answer: Answer, numbers: Mapping[Citation, int]) -> str:
    said = esc(claim.at.of(answer.text)).replace("\n", "<br>")
    return f'<span class="claim {claim.verdict.value}">{said}</span>{_chips(claim, numbers)}'


def _quote_block(claim: Claim, answer: Answer, numbers: Mapping[Citation, int]) -> str:
    said = claim.at.of(answer.text)
    first = claim.citations[0] if claim.citations else None
    inner = quoted(first) if first is not None and first.quote == said else esc(said)
    where = f"<footer>{_named(first)}</footer>" if first is not None else ""
    return (
        f'<blockquote class="claim {claim.verdict.value}" dir="auto"><p>{inner}{_chips(claim, numbers)}</p>'
        f"{where}</blockquote>"
    )


def _chips(claim: Claim, numbers: Mapping[Citation, int]) -> str:
    """A claim's doubt and numbers, kept together on one line."""
    row = "".join(chip(numbers[c], c) for c in sorted(claim.citations, key=lambda c: numbers[c]))
    return f'<span class="chips">{_doubt(claim)}{row}</span>'


def _doubt(claim: Claim) -> str:
    if claim.verdict not in _DOUBTS:
        return ""
    word, why = _DOUBTS[claim.verdict]
    return f' <small class="doubt" title="{why}">{word}</small>'


def _named(citation: Citation) -> str:
    return f"<bdi>{esc(citation.source.title)}</bdi> &middot; <bdi>{esc(citation.where)}</bdi>"


def cards(citations: tuple[Citation, ...], heading: str) -> str:
    """Quotes as a list of buttons, each opening its place. '' for no citations."""
    if not citations:
        return ""
    rows = "".join(
        f'<li><button type="button" class="card" {place(n, c)}><b class="n">{n}</b>'
        f'<span class="quote" dir="auto">{quoted(c)}</span><span class="where">{_named(c)}</span></button></li>'
        for n, c in enumerate(citations, 1)
    )
    return f'<div class="sources"><h3>{esc(heading)}</h3><ol>{rows}</ol></div>'


def quoted_in_text(answer: Answer) -> bool:
    """True if the answer's text already shows every citation as a block quote, so that cards would repeat it."""
    shown = {c for claim in answer.claims if claim.origin is Origin.QUOTE for c in claim.citations}
    return shown.issuperset(answer.citations)


def plain_copy(answer: Answer) -> str:
    """The answer as plain text for the clipboard: the text, then each quote with its number and place."""
    notes = (f"[{n}] “{c.quote}” - {c.source.title}, {c.where}" for n, c in enumerate(answer.citations, 1))
    return "\n".join([answer.text, "", *notes]).strip()
