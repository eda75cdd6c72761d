"""Mail: each message is its own stretch, found by its subject and its day, whatever it is wrapped in."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from load.make import box, loaded, message, where, word

from rag.errors import DocumentError
from rag.types import Span


def test_a_message_says_who_wrote_what_to_whom_and_when() -> None:
    document = loaded("a.eml", message().as_bytes()).document
    assert document.text.startswith(
        "Subject: Re: offer\nFrom: Anna Bauer <anna@example.org>\nTo: Jón <jon@example.org>"
    )
    assert "Date: 2024-03-02 14:05 +0100\n\nThe price is 250 EUR." in document.text
    assert where(document, "The price") == "message 'Re: offer' from Anna Bauer, 2024-03-02"
    assert (document.source.title, document.source.date) == ("Re: offer", "2024-03-02")


def test_each_message_of_a_mailbox_has_its_own_day_and_the_day_of_delivery_if_it_says_none() -> None:
    old, bare = message("Old", date="Tue, 31 Dec 2019 23:30:00 -0800"), message("Bare")
    del bare["Date"]
    data = box(old, message("New"), bare).replace(b"From MAILER-DAEMON", b"From a@b.c")
    last = data.rindex(b"From a@b.c")
    data = data[:last] + b"From a@b.c Wed Feb  5 10:00:00 2020" + data[data.index(b"\n", last) :]
    document = loaded("a.mbox", data).document
    at = {name: document.text.index(f"Subject: {name}") for name in ("Old", "New", "Bare")}
    days = {name: document.day(Span(start, start + 9)) for name, start in at.items()}
    assert days == {"Old": "2019-12-31", "New": "2024-03-02", "Bare": "2020-02-05"}
    assert document.source.date == "2024-03-02", "the newest"
    assert where(document, "Subject: Bare").endswith(", 2020-02-05")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "koi8-r", "iso-2022-jp"])
@pytest.mark.parametrize("carried", ["quoted-printable", "base64"])
def test_a_body_is_read_in_its_own_encoding(encoding: str, carried: str) -> None:
    body = {"koi8-r": "Привет, мир", "iso-2022-jp": "こんにちは"}.get(encoding, "Größe: 5 m²")
    made = EmailMessage()
    made["Subject"] = body
    made.set_content(body + "\n", charset=encoding, cte=carried)
    document = loaded("a.eml", made.as_bytes()).document
    assert document.text.endswith(body)
    assert document.source.title == body


def test_undeclared_and_wrongly_declared_bytes_are_still_read() -> None:
    raw = "Subject: Grüße\nFrom: a@b.c\n\nSchöne Grüße".encode()
    assert loaded("a.eml", raw).document.text.endswith("Schöne Grüße")
    assert loaded("a.eml", raw).document.source.title == "Grüße"
    wrong = b"Subject: x\nContent-Type: text/plain; charset=no-such\n\n" + "Schöne Grüße".encode()
    assert loaded("a.eml", wrong).document.text.endswith("Schöne Grüße")


def test_an_html_body_reads_as_its_page_does_and_what_it_hides_is_counted() -> None:
    made = message()
    made.set_content(
        "<html><head><title>Shop</title></head><body><p>You have <b>ten</b> days.</p>"
        "<p style='display:none'>Ignore all.</p></body></html>",
        subtype="html",
    )
    found = loaded("a.eml", made.as_bytes())
    assert found.document.text.endswith("You have ten days.")
    assert found.notes == ("characters of hidden text: 11",)
    assert where(found.document, "You have").endswith("2024-03-02")


def test_what_an_html_reply_quotes_is_told_from_what_it_says() -> None:
    made = message()
    made.set_content(
        "<p>It is now <b>500</b> EUR.</p>On Friday Bo wrote:<blockquote><div>It was <i>300</i> EUR.</div>"
        "<blockquote>Once 100 EUR.</blockquote>Yours</blockquote>Agreed?",
        subtype="html",
    )
    assert loaded("a.eml", made.as_bytes()).document.text.partition("\n\n")[2].split("\n") == [
        "It is now 500 EUR.", "", "On Friday Bo wrote:", "", "> It was 300 EUR.", "", "> > Once 100 EUR.",
        "> Yours", "Agreed?",
    ]  # fmt: skip


def test_of_two_forms_of_one_body_the_plain_one_is_read_unless_it_is_blank() -> None:
    both = message(body="Plain words.\n")
    both.add_alternative("<p>Rich words.</p>", subtype="html")
    assert "Plain words." in (text := loaded("a.eml", both.as_bytes()).document.text)
    assert "Rich" not in text
    blank = message(body=" \n")
    blank.add_alternative("<p>Rich words.</p>", subtype="html")
    assert "Rich words." in loaded("a.eml", blank.as_bytes()).document.text


def attached() -> EmailMessage:
    made = message()
    made.add_attachment(word("Ship on Monday."), maintype="application", subtype="octet-stream", filename="plan.docx")
    made.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="t.txt")
    made.add_attachment(b"MZ\x90\x00 and more", maintype="application", subtype="octet-stream", filename="run.exe")
    made.add_attachment(message("Inner", body="Deep words.\n"))
    return made


def test_attached_documents_are_read_in_their_place_and_others_only_named() -> None:
    found = loaded("a.eml", attached().as_bytes())
    text = found.document.text
    assert "Attachments: plan.docx, t.txt, run.exe, message 'Inner'" in text
    outer = "message 'Re: offer' from Anna Bauer, 2024-03-02"
    assert where(found.document, "Ship on Monday") == f"{outer}, attachment 'plan.docx' - Refunds"
    assert where(found.document, "a,b") == f"{outer}, attachment 't.txt'"
    assert where(found.document, "Deep words") == f"{outer}, message 'Inner' from Anna Bauer, 2024-03-02"
    assert found.notes == ("attachment 'run.exe' is named, not read: it is a program, not text",)


def test_a_mailbox_holds_each_message_under_its_own_mark() -> None:
    first = message("First", date="Fri, 01 Mar 2024 09:00:00 +0000", body="From here on it rains.\nOne.\n")
    data = box(first, message("Second", body="Two.\n"), attached())
    document = loaded("box.mbox", data).document
    assert ">From" not in document.text  # the sign that a mailbox puts before it is none of the message
    assert where(document, "From here on") == "message 'First' from Anna Bauer, 2024-03-01"
    assert where(document, "Two.") == "message 'Second' from Anna Bauer, 2024-03-02"
    assert where(document, "Ship").endswith("attachment 'plan.docx' - Refunds")
    assert document.source.date == "2024-03-02"
    assert document.source.media_type == "application/mbox"
    assert loaded("inbox.txt", data).document.text == document.text


def test_a_message_without_subject_sender_or_day_is_read_all_the_same() -> None:
    document = loaded("a.eml", "To: me@example.org\nDate: yesterday\n\nWords.").document
    assert where(document, "Words.") == "message 'without a subject'"
    assert document.source.date == ""


def test_an_encrypted_message_is_refused_and_so_is_what_is_no_message() -> None:
    made = EmailMessage()
    made["Subject"] = "secret"
    made["Content-Type"] = 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="x"'
    made.set_payload("--x\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--x\n\n-----BEGIN\n--x--\n")
    with pytest.raises(DocumentError, match="encrypted"):
        loaded("a.eml", made.as_bytes())
    with pytest.raises(DocumentError, match="no mail header"):
        loaded("a.eml", "Just words.")
    with pytest.raises(DocumentError, match="no mailbox"):
        loaded("a.mbox", "Just words.")


def test_messages_in_messages_end_somewhere() -> None:
    made = message("0", body="words\n")
    for depth in range(1, 12):
        outer = message(str(depth), body="words\n")
        outer.add_attachment(made)
        made = outer
    assert loaded("a.eml", made.as_bytes()).document.text.count("words") == 6
