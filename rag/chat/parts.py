"""The parts of the page that stand still: head, shelves, the panel of the source, in the language that is set."""

from __future__ import annotations

from rag.chat.settings import keys
from rag.chat.texts import say


def head(note: str) -> str:
    """The name, where the words go, and the buttons of the shelves."""
    shelves = "".join(
        f'<button type="button" class="plain" data-shelf="{shelf}" aria-expanded="false">{say(f"head.{name}")}</button>'
        for shelf, name in (("talks", "history"), ("library", "library"), ("settings", "settings"))
    )
    return (
        f'<header><span class="name"><span>{say("head.ask")} </span><mark>{say("head.name")}</mark></span>{note}'
        f'{shelves}<button type="button" class="plain" data-do="new">{say("head.new")}</button></header>'
    )


def talks() -> str:
    """The shelf of conversations."""
    name = say("talk.search")
    return (
        f'<h2>{say("head.history")}</h2><input type="search" id="find-talk" placeholder="{name}" aria-label="{name}">'
        '<div id="talk-list" aria-live="polite"></div>'
    )


def shelf() -> str:
    """The shelf of documents: where files are put, what became of them, and the list."""
    new = say("library.new_name")
    file = '<input type="file" multiple class="unseen"'
    return (
        f'<h2>{say("head.library")}</h2><div id="drop"><span>{say("library.drop")}</span><div id="choose">'
        f'<label class="pick">{say("library.files")}{file}></label>'
        f'<label class="pick">{say("library.folder")}{file} webkitdirectory></label>'
        f'</div><label class="into">{say("library.into")} <select id="into">'
        f'<option value="">{say("library.own_place")}</option></select></label>'
        f'<input type="text" id="into-new" maxlength="100" dir="auto" placeholder="{new}"'
        f' aria-label="{new}" hidden></div><div id="report" class="report"></div><div id="watching"></div>'
        '<p id="gone-book" class="report" role="status"></p><div id="filters"></div><div id="shelf"></div>'
    )


def turns() -> str:
    """The conversation, and the place where a finished answer is said to those who listen."""
    return (
        f'<div id="empty"></div><div id="turns" role="region" aria-label="{say("talk.conversation")}"></div>'
        '<div id="told" class="unseen" role="status"></div>'
    )


def editing() -> str:
    """What is said while an earlier question is asked anew."""
    return (
        f'<div id="editing" role="status" hidden><span>{say("talk.editing")}</span>'
        f'<button type="button" class="plain" data-do="cancel-edit">{say("talk.cancel")}</button></div>'
    )


def panel() -> str:
    """The source beside the conversation."""
    steps = "".join(
        f'<button type="button" class="plain" data-step="{step}" aria-label="{say(f"source.{name}_says")}">'
        f"{say(f'source.{name}')}</button>"
        for step, name in ((-1, "previous"), (1, "next"))
    )
    return (
        f'<aside id="panel" inert aria-label="{say("source.panel")}"><nav><span class="count" role="status"></span>'
        f'{steps}<button type="button" class="plain" data-do="close" aria-label="{say("source.close_says")}">'
        f"{say('source.close')}</button></nav>"
        f'<div class="body" tabindex="0" role="region" aria-label="{say("source.text")}"></div></aside>'
    )


def over() -> str:
    """What is laid over the page: the card of a citation, the list of keys."""
    return (
        f'<div id="tip" role="tooltip" hidden><div class="inner"></div>'
        f'<span class="open">{say("source.open")}</span></div>'
        f'<dialog id="keys" aria-labelledby="keys-name"><h2 id="keys-name">{say("keys.title")}</h2>{keys()}'
        f'<button type="button" class="plain" data-do="close-keys">{say("source.close")}</button></dialog>'
    )
