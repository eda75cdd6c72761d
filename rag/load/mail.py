"""One message (EML): its head in words, its body, and the attachments that can themselves be read.

The plain body is taken where there is one, else the HTML body through the HTML parser. An attached document is read by
its own parser and stands under the message; any other attachment is named and never opened.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import parseaddr, parsedate_to_datetime
from functools import lru_cache
from typing import Any

from rag.errors import DocumentError
from rag.load.draft import Draft, Parsed, clean

_MAX_DEPTH = 5  # a message in a message in a message
_MAX_PARTS = 1000
_SHOWN = ("Subject", "From", "To", "Cc")


class _Policy(EmailPolicy):
    """Reads each header once: the library does it anew whenever one is looked at, which is most of its work."""

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        return value if hasattr(value, "name") else _header(name, value)


@lru_cache(maxsize=1000)
def _header(name: str, value: str) -> Any:
    return email.policy.default.header_fetch_parse(name, value)


_POLICY = _Policy()


def parse(data: bytes) -> Parsed:
    """The message, marked with subject, sender and day. Raises DocumentError: no message, or an encrypted one."""
    message = message_of(data)
    if not any(name in message for name in ("From", "Subject", "Date", "To", "Received")):
        raise DocumentError("it has no mail header", "check the file")
    draft = Draft()
    said = write(draft, message, 0)
    if not said and _is_encrypted(message):
        raise DocumentError("its body is encrypted", "save the decrypted message from your mail program")
    return draft.done(header(message, "Subject"), day(message))


def message_of(data: bytes) -> EmailMessage:
    """The message in these bytes; whatever they are, they make one."""
    message = email.message_from_bytes(data, policy=_POLICY)
    assert isinstance(message, EmailMessage)
    return message


def write(draft: Draft, message: EmailMessage, depth: int) -> bool:
    """Append the message to `draft`, under its mark; True if it has a body that could be read."""
    label = f"message '{header(message, 'Subject') or 'without a subject'}'"
    sender = parseaddr(header(message, "From"))
    label += f" from {sender[0] or sender[1]}" if any(sender) else ""
    label += f", {date}" if (date := day(message)) else ""
    with draft.within("message", label, depth, date):
        parts = list(_parts(message))
        attached = [part for part in parts if _is_attachment(part)]
        head = [f"{name}: {value}" for name in _SHOWN if (value := header(message, name))]
        head += [f"Date: {_when(message)}"] if date else []
        head += [f"Attachments: {', '.join(_name(part) for part in attached)}"] if attached else []
        draft.say("\n".join(head))
        bodies = [body for part in parts if not _is_attachment(part) and (body := _body(part)) is not None]
        for body in bodies:
            draft.place(body)
        for part in attached:
            _attach(draft, part, depth)
    if _is_encrypted(message):
        draft.notes.append(f"{label} is encrypted: only its head was read")
    return any(body.text.strip() for body in bodies)


def header(message: EmailMessage, name: str) -> str:
    """A header in one line of words, '' if it is not there or cannot be read."""
    try:
        value = str(message.get(name, ""))
    except (MessageError, ValueError, IndexError, AttributeError, TypeError):  # the parser of headers has its limits
        raw = next((str(v) for n, v in message.raw_items() if n.lower() == name.lower()), "")
        value = raw
    try:
        value = value.encode("utf-8", "surrogateescape").decode("utf-8")  # undeclared UTF-8
    except UnicodeDecodeError:
        value = value.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    except UnicodeEncodeError:
        pass
    return " ".join(clean(value).split())


def day(message: EmailMessage) -> str:
    """The day on which it was sent, by the sender's calendar; '' if it does not say."""
    moment = _moment(message)
    return moment.date().isoformat() if moment else ""


def _moment(message: EmailMessage) -> datetime | None:
    try:
        return parsedate_to_datetime(header(message, "Date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _when(message: EmailMessage) -> str:
    moment = _moment(message)
    return moment.strftime("%Y-%m-%d %H:%M %z").strip() if moment else ""


def _parts(message: EmailMessage, depth: int = 0) -> Iterator[EmailMessage]:
    """The parts that a reader sees, in order; of alternatives the plain one, unless it is blank."""
    if depth > 20 or _is_encrypted(message):
        return
    kind = message.get_content_type()
    if not message.is_multipart() or kind == "message/rfc822":
        yield message
        return
    inner = [part for part in message.iter_parts() if isinstance(part, EmailMessage)][:_MAX_PARTS]
    if kind == "multipart/alternative":
        inner = [_plainest(inner)] if inner else []
    elif kind == "multipart/signed":
        inner = inner[:1]
    elif kind == "multipart/related":  # the page, then what belongs to it: only what was attached as a file is read
        inner = [part for i, part in enumerate(inner) if i == 0 or part.get_content_disposition() == "attachment"]
    for part in inner:
        yield from _parts(part, depth + 1)


def _plainest(parts: list[EmailMessage]) -> EmailMessage:
    plain = [p for p in parts if p.get_content_type() == "text/plain" and _text(p).strip()]
    rich = [p for p in parts if p.get_content_type() in ("text/html", "multipart/related", "multipart/mixed")]
    return (plain or rich or parts)[0]


def _is_encrypted(message: EmailMessage) -> bool:
    kind, smime = message.get_content_type(), message.get_param("smime-type", "")
    return kind == "multipart/encrypted" or (kind.endswith("pkcs7-mime") and "signed" not in str(smime))


def _is_attachment(part: EmailMessage) -> bool:
    if part.get_content_type() == "message/rfc822" or part.get_content_disposition() == "attachment":
        return True
    return part.get_content_maintype() != "text" or bool(_filename(part))


def _filename(part: EmailMessage) -> str:
    try:
        return " ".join(clean(str(part.get_filename() or "")).split())
    except (MessageError, ValueError, IndexError, AttributeError, TypeError, LookupError):
        return ""


def _name(part: EmailMessage) -> str:
    if not _filename(part) and part.get_content_type() == "message/rfc822":
        inner = _inner(part)
        return f"message '{header(inner, 'Subject')}'" if inner is not None else "a message"
    return _filename(part) or part.get_content_type()


def _text(part: EmailMessage) -> str:
    """A text part in its encoding, or in the likeliest one if that does not hold."""
    from rag.load.plain import decode

    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    try:
        return data.decode(part.get_content_charset("utf-8"))
    except (LookupError, UnicodeDecodeError):
        return decode(data)


def _body(part: EmailMessage) -> Parsed | None:
    """A text part as it reads; None if there is nothing to read."""
    try:
        text = _text(part)
        if part.get_content_type() == "text/html":
            from rag.load.html import parse_text

            return parse_text(text, titled=False, mail=True)
    except DocumentError:
        return None
    draft = Draft()
    draft.say(_unwrapped(text) if part.get_param("format") == "flowed" else text)
    return draft.done()


def _unwrapped(text: str) -> str:
    """Flowed text (RFC 3676): a line that ends with a space goes on in the next."""
    return re.sub(r"(?m)(?<!^--) \r?\n(?![> ])", " ", text)


def _inner(part: EmailMessage) -> EmailMessage | None:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    return inner if isinstance(inner, EmailMessage) else None


def _attach(draft: Draft, part: EmailMessage, depth: int) -> None:
    """Append what can be read of an attachment, under its name; note why it cannot."""
    from rag.load.kinds import kind_of

    if part.get_content_type() == "message/rfc822":
        if (inner := _inner(part)) is not None and depth < _MAX_DEPTH:
            write(draft, inner, depth + 1)
        return
    name = _filename(part)
    data = part.get_payload(decode=True)
    if not name or not isinstance(data, bytes) or part.get_content_maintype() in ("image", "audio", "video"):
        return
    try:
        kind = kind_of(data, name)
        if kind.parser in ("mail", "mbox") and depth >= _MAX_DEPTH:
            return
        parsed = kind.read(data)
    except DocumentError as e:
        draft.notes.append(f"attachment '{name}' is named, not read: {e.message}")
        return
    with draft.within("attachment", f"attachment '{name}'", depth):
        draft.place(parsed)
