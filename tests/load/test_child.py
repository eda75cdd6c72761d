"""The process that parses: what a file may cost, what it costs the others, what stays when it or we are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from load.make import ODT_NAMES, book, epub, every_kind, loaded, odt, pdf, word, zipped

from rag.errors import DocumentError
from rag.load import Limits, Loader, load

ROOT = Path(__file__).resolve().parents[2]
SLOW_PAGE = b"<html><body>" + b"<p>a" * 120_000  # 3 s on a quiet machine
LONG_PAGE = b"<html><body>" + b"<div class=a><p>word</p></div>" * 300_000


def alive(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def child_of(loader: Loader) -> int:
    assert loader._child.pid is not None
    return loader._child.pid


def test_one_process_reads_many_files_and_ends_with_its_loader() -> None:
    with Loader() as loader:
        for name, data in every_kind().items():
            assert loader.parse(data, Path(name)).document.text
        pid = child_of(loader)
        assert alive(pid)
        loader.parse(b"a,b\n1,2\n", Path("a.csv"))
        assert child_of(loader) == pid
    assert not alive(pid)
    loader.close()


def test_plain_text_needs_no_process() -> None:
    with Loader() as loader:
        assert loader.parse(b"words", Path("a.txt")).document.text == "words"
        assert loader._child.pid is None


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_read() -> None:
    with Loader(Limits(seconds=1)) as loader:
        start = time.monotonic()
        with pytest.raises(DocumentError, match="more than 1 s"):
            loader.parse(SLOW_PAGE, Path("a.html"))
        assert time.monotonic() - start < 6
        assert loader.parse(b"<p>words", Path("b.html")).document.text == "words"


def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_one_is_read() -> None:
    with Loader(Limits(memory_bytes=190 << 20)) as loader:
        loader.parse(b"<p>words", Path("b.html"))
        with pytest.raises(DocumentError, match="memory"):
            loader.parse(LONG_PAGE[:2_000_000], Path("a.html"))
        assert loader.parse(b"<p>words", Path("b.html")).document.text == "words"


def test_a_text_that_outgrows_the_reply_is_refused_and_the_next_one_is_read() -> None:
    with Loader(Limits(reply_bytes=10_000)) as loader:
        loader.parse(b"a,b\n1,2\n", Path("a.csv"))
        with pytest.raises(DocumentError, match="would become"):
            loader.parse(b"a,b\n" + b"1,2\n" * 10_000, Path("a.csv"))
        assert loader._child.pid is None  # nobody reads what it still has to say
        assert loader.parse(b"a,b\n1,2\n", Path("a.csv")).document.text


def test_a_process_that_was_killed_between_two_files_is_started_anew_unseen() -> None:
    with Loader() as loader:
        loader.parse(b"<p>words", Path("a.html"))
        os.kill(child_of(loader), signal.SIGKILL)
        assert loader.parse(b"<p>words", Path("a.html")).document.text == "words"


def test_a_process_that_dies_of_a_file_costs_that_file_only() -> None:
    with Loader() as loader:
        stop = threading.Event()

        def kill_whatever_reads() -> None:
            while not stop.wait(0.3):
                if (pid := loader._child.pid) is not None:
                    os.kill(pid, signal.SIGSEGV)

        killer = threading.Thread(target=kill_whatever_reads)
        killer.start()
        with pytest.raises(DocumentError, match="broke the process"):
            loader.parse(LONG_PAGE, Path("a.html"))
        stop.set()
        killer.join()
        assert loader.parse(b"<p>words", Path("b.html")).document.text == "words"


def test_many_threads_may_ask_one_loader() -> None:
    files = list(every_kind().items()) * 3
    with Loader() as loader, ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda f: loader.parse(f[1], Path(f[0])).document.text, files))
    assert texts == [loaded(name, data).document.text for name, data in files]


def test_a_killed_parent_leaves_no_process_behind_even_in_the_middle_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(LONG_PAGE)
    code = (
        "import sys, threading, pathlib\nfrom rag.load import Loader\nloader = Loader()\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\nloader.parse(b'<p>x', pathlib.Path('x.html'))\n"
        "print(loader._child.pid, flush=True)\nloader.parse(data, pathlib.Path('a.html'))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.html")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid, 5)


def test_ctrl_c_ends_the_add_and_its_process(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(LONG_PAGE)
    code = (
        "import sys, pathlib\nfrom rag.load import Loader\n"
        "with Loader() as loader:\n"
        "    loader.parse(b'<p>x', pathlib.Path('x.html'))\n    print(loader._child.pid, flush=True)\n"
        "    loader.parse(pathlib.Path(sys.argv[1]).read_bytes(), pathlib.Path('a.html'))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.html")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.send_signal(signal.SIGINT)
    assert parent.wait(5) != 0
    parent.stdout.close()
    assert gone(pid, 1)


def laughs(root: str) -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "ha">{entities}]>{root}'


def declared(size: int) -> bytes:
    """An archive whose directory says that its one part unpacks to `size` bytes."""
    data = bytearray(zipped({"word/document.xml": b" " * 1000}))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = size.to_bytes(4, "little")
    return bytes(data)


def replaced(data: bytes, member: str, content: str | bytes) -> bytes:
    """An Office file with one part replaced."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return zipped(parts | {member: content})


def circular_pdf() -> bytes:
    """Its tree of pages is a child of itself."""
    return pdf("words").replace(b"/Kids [6 0 R]", b"/Kids [2 0 R]")


HOSTILE = [
    ("bomb.docx", lambda: zipped({"word/document.xml": b" " * 60_000_000}), "zip bomb"),
    ("bomb.xlsx", lambda: replaced(book(), "xl/worksheets/sheet1.xml", b" " * 60_000_000), "zip bomb"),
    ("bomb.epub", lambda: epub(**{"OPS/two.xhtml": b" " * 60_000_000}), "zip bomb"),
    ("declared.docx", lambda: declared(4_000_000_000), "zip bomb"),
    ("many.odt", lambda: odt(**{f"x{n}": "" for n in range(21_000)}), "zip bomb"),
    ("laughs.docx", lambda: replaced(word("x"), "word/document.xml", laughs("<x>&l9;</x>")), "attack"),
    ("laughs.xlsx", lambda: replaced(book(), "xl/workbook.xml", laughs("<x>&l9;</x>")), "attack"),
    ("laughs.odt", lambda: odt(**{"content.xml": laughs(f"<office:x {ODT_NAMES}>&l9;</office:x>")}), "attack"),
    ("laughs16.odt", lambda: odt(**{"content.xml": laughs("<x>&l9;</x>").encode("utf-16")}), "attack"),
    ("laughs.epub", lambda: epub(**{"OPS/two.xhtml": laughs("<html><body>&l9;</body></html>")}), "attack"),
    ("deep.json", lambda: b"[" * 200_000 + b"]" * 200_000, "nested too deep"),
    ("circular.pdf", circular_pdf, "none of its pages"),
    ("archive.zip", lambda: zipped({"a.txt": "x"}), "unpack it"),
    ("archive.txt", lambda: zipped({"a.txt": "x"}), "unpack it"),
    ("cut.pdf", lambda: pdf("words")[:300], "PDF|no text"),
    ("scan.pdf", lambda: pdf("", ""), "OCR"),
    ("program.txt", lambda: b"\x7fELF" + b"\0" * 100, "program"),
    ("noise.csv", lambda: bytes(range(32)) * 40, "binary"),
    ("empty.xlsx", lambda: b"", "named .xlsx"),
    ("blank.csv", lambda: b"\n \n,,,\n", "no text"),
    ("blank.json", lambda: b"{}", "no text"),
    ("bad.json", lambda: b'{"a": ', "no JSON"),
    ("bad.jsonl", lambda: b"a\nb\n", "no line"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "says"), HOSTILE, ids=[h[0] for h in HOSTILE])
def test_a_hostile_file_ends_in_a_clear_refusal_within_seconds(name: str, make: object, says: str) -> None:
    start = time.monotonic()
    with pytest.raises(DocumentError) as refused:
        loaded(name, make())  # type: ignore[operator]
    assert time.monotonic() - start < 10
    assert name in refused.value.message
    assert any(word in str(refused.value) for word in says.split("|")), str(refused.value)
    assert refused.value.hint


def test_bookmarks_that_go_in_circles_and_a_link_out_of_word_do_no_harm() -> None:
    circle = pdf("words", bookmarks=(("A", 0, 0),))
    circle = circle.replace(b"/Fit] ", b"/Fit] /Next 7 0 R /First 7 0 R")
    assert loaded("a.pdf", circle).document.text == "words"
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes" '
        'Target="http://127.0.0.1:9/x" TargetMode="External"/></Relationships>'
    )
    assert loaded("a.docx", replaced(word("x"), "word/_rels/document.xml.rels", relations)).document.text


@pytest.mark.parametrize("name", [name for name in every_kind() if name != "a.txt"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str) -> None:
    sound, chance = every_kind()[name], random.Random(name)
    with Loader(Limits(seconds=10)) as loader:
        for _ in range(25):
            damaged = bytearray(sound)
            for _ in range(chance.choice((1, 3, 30))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            if chance.random() < 0.3:
                del damaged[chance.randrange(len(damaged)) :]
            try:
                document = loader.parse(bytes(damaged), Path(name)).document
            except DocumentError as e:
                assert e.hint, e
            else:
                assert all(m.span.end <= len(document.text) for m in document.marks)


def test_what_a_mail_carries_is_held_to_the_same_limits() -> None:
    from load.make import message

    made = message()
    made.add_attachment(
        zipped({"word/document.xml": b" " * 60_000_000}), maintype="application", subtype="zip", filename="bomb.docx"
    )
    found = loaded("a.eml", made.as_bytes())
    assert "250 EUR" in found.document.text
    assert "would unpack to" in found.notes[0]


def test_a_document_of_fifty_thousand_pages_is_refused_or_read_but_does_not_run_away(tmp_path: Path) -> None:
    kids = " ".join(["6 0 R"] * 50_000).encode()
    many = pdf("words").replace(b"/Kids [6 0 R] /Count 1", b"/Kids [" + kids + b"] /Count 50000")
    path = tmp_path / "long.pdf"
    path.write_bytes(many)
    with pytest.raises(DocumentError, match=r"pages|PDF|text"):
        load(path)


SLOW = [
    ("a.c", b"f(" + b")" * 300_000),
    ("a.csv", b"a,b\n" + b"1" * 300_000 + b"x,2\n"),
    ("a.mbox", b"From " + b"1" * 300_000 + b"\n"),
    ("a.html", b"<style>" + b"x" * 300_000 + b"</style><p>words"),
    ("a.js", b"const a = (" * 30_000),
    ("a.rtf", b"{\\rtf1 words " + b"\\v " * 100_000 + b"}"),
    ("a.md", b"# " + b"[" * 3_000),
    ("a.eml", b"Subject: " + b"=?utf-8?q?" * 3_000 + b"\n\nwords"),
    ("a.html", b"<table>" * 3_000 + b"words"),
    ("a.json", b'{"a":' * 900 + b"1" + b"}" * 900),
]


@pytest.mark.parametrize(("name", "data"), SLOW, ids=[f"{n}-{d[:8]!r}" for n, d in SLOW])
def test_what_is_made_to_be_slow_is_read_or_refused_at_once(name: str, data: bytes) -> None:
    start = time.monotonic()
    try:
        loaded(name, data)
    except DocumentError as e:
        assert "more than" not in e.message
    assert time.monotonic() - start < 20
