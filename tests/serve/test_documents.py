"""Documents by HTTP: what is brought in is found, what is removed is gone, what is bad is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

import rag
from rag.serve import documents
from tests.serve.conftest import Running, serving


@pytest.fixture(scope="module")
def shelf(opened: Callable[..., rag.Assistant]) -> Iterator[Running]:
    with serving(opened(serve_body_mb=2)) as running:
        yield running


def test_an_uploaded_document_is_found_shown_and_forgotten(shelf: Running) -> None:
    files = [("files", ("note.txt", b"The code word of the house is heliotrope.", "text/plain"))]
    done = shelf.http.post("/v1/documents", files=files, data={"collection": "words"})
    assert done.status_code == 200 and done.json()["state"] == "done" and len(done.json()["report"]["added"]) == 1
    row = next(d for d in shelf.http.get("/v1/documents").json()["documents"] if d["source"]["title"] == "note.txt")
    id_ = row["source"]["id"]
    assert row["collection"] == "words"
    assert {"name": "words", "documents": 1, "passages": 1} in shelf.http.get("/v1/collections").json()["collections"]
    assert [d["source"]["id"] for d in shelf.http.get("/v1/documents?collection=words").json()["documents"]] == [id_]
    answer = shelf.http.post("/v1/answers", json={"question": "What is the code word of the house?"}).json()
    citation = answer["citations"][0]
    span = {"start": citation["span"]["start"], "end": citation["span"]["end"]}
    text = shelf.http.get(f"/v1/documents/{citation['source']['id']}/text", params=span).json()["text"]
    assert text == citation["quote"] and "heliotrope" in text
    assert shelf.http.delete(f"/v1/documents/{id_}").json()["removed"]["id"] == id_
    assert "heliotrope" not in shelf.http.post("/v1/search", json={"query": "code word"}).text
    for path in (f"/v1/documents/{id_}", f"/v1/documents/{id_}/text"):
        assert shelf.http.get(path).status_code == 404
    assert shelf.http.delete(f"/v1/documents/{id_}").status_code == 404


@pytest.mark.parametrize("name", ["a/b", "a/../../b", "two words é", "%2e%2e", "?x#y"])
def test_a_collection_of_any_name_can_be_asked_and_forgotten(shelf: Running, name: str) -> None:
    file = ("files", ("named.txt", b"The code word of the yard is marigold.", "text/plain"))
    shelf.http.post("/v1/documents", files=[file], data={"collection": name})
    asked = {"question": "What is the code word of the yard?", "where": {"collections": [name]}}
    assert "marigold" in shelf.http.post("/v1/answers", json=asked).json()["text"]
    assert shelf.http.get(f"/v1/models/rag/{quote(name, safe='')}").json()["id"] == f"rag/{name}"
    assert shelf.http.delete(f"/v1/collections/{quote(name, safe='')}").json() == {"removed": 1}
    assert name not in [c["name"] for c in shelf.http.get("/v1/collections").json()["collections"]]


def kept(shelf: Running) -> set[str]:
    """The names of the files that are kept beside the index."""
    return {place.name for place in (shelf.assistant.folder / "originals").rglob("*") if place.is_file()}


def test_of_an_upload_that_is_refused_or_forgotten_nothing_stays(shelf: Running) -> None:
    before = kept(shelf)
    for n, path in enumerate(("documents/{}", "collections/shelf")):
        good = ("files", (f"stay {n}.txt", f"The code word of room {n} is fuchsia.".encode(), "text/plain"))
        files = [good, ("files", ("empty.txt", b"", "text/plain")), ("files", ("x.pdf", b"no pdf", "application/pdf"))]
        assert shelf.http.post("/v1/documents", files=files, data={"collection": "shelf"}).status_code == 200
        assert kept(shelf) == before | {f"stay {n}.txt"}
        (row,) = shelf.http.get("/v1/documents?collection=shelf").json()["documents"]
        assert shelf.http.delete(f"/v1/{path.format(row['source']['id'])}").status_code == 200
        assert kept(shelf) == before
    assert not [f for f in (shelf.assistant.folder / "originals").iterdir() if not any(f.iterdir())]


def test_a_bad_file_that_is_sent_twice_at_once_is_refused_twice_for_what_it_is(shelf: Running) -> None:
    files = [("files", ("bad.pdf", b"no pdf at all", "application/pdf"))]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shelf.http.post, "/v1/documents", files=files) for _ in range(4)]
        told = [one.result().json()["report"]["refused"][0][1] for one in asked]
    assert len(set(told)) == 1 and "named .pdf" in told[0]
    assert "bad.pdf" not in kept(shelf)


def test_an_upload_that_is_not_waited_for_says_how_far_it_is(shelf: Running) -> None:
    files = [("files", (f"{n}.txt", f"Number {n} is here.".encode(), "text/plain")) for n in range(3)]
    taken = shelf.http.post("/v1/documents?wait=false", files=files)
    assert taken.status_code == 202
    end = time.monotonic() + 30
    while (now := shelf.http.get(f"/v1/documents/uploads/{taken.json()['id']}").json())["state"] != "done":
        assert now["state"] in ("waiting", "indexing") and time.monotonic() < end
        time.sleep(0.05)
    assert len(now["report"]["added"]) == 3
    assert shelf.http.get("/v1/documents/uploads/nothing").status_code == 404


def test_the_same_file_again_is_unchanged_and_a_bad_one_does_not_stop_the_others(shelf: Running) -> None:
    good = ("files", ("again.txt", b"The same words as before.", "text/plain"))
    assert len(shelf.http.post("/v1/documents", files=[good]).json()["report"]["added"]) == 1
    both = shelf.http.post("/v1/documents", files=[good, ("files", ("x.pdf", b"no pdf", "application/pdf"))])
    assert both.status_code == 200
    assert len(both.json()["report"]["unchanged"]) == 1 and len(both.json()["report"]["refused"]) == 1
    bad = shelf.http.post("/v1/documents", files=[("files", ("empty.txt", b"", "text/plain"))])
    assert bad.status_code == 422 and bad.json()["error"]["code"] == "document_error"


def test_more_files_at_once_than_are_read_are_refused_before_any_is_kept(shelf: Running) -> None:
    before = kept(shelf)
    files = [("files", (f"{n}.txt", b"x", "text/plain")) for n in range(documents.MOST_FILES + 1)]
    over = shelf.http.post("/v1/documents", files=files)
    assert over.status_code == 422 and str(documents.MOST_FILES) in over.json()["error"]["hint"]
    assert kept(shelf) == before


def test_the_id_of_an_upload_begins_with_the_name_of_the_server_that_took_it(
    opened: Callable[..., rag.Assistant],
) -> None:
    with serving(opened(serve_name="web1", serve_hosts="docs.example.org")) as server:
        server.http.headers["host"] = "docs.example.org"
        told = server.http.post("/v1/documents", files=[("files", ("a.txt", b"A mill."))]).json()
        assert told["id"].startswith("web1.")
        assert server.http.get(f"/v1/documents/uploads/{told['id']}").json() == told


def test_the_oldest_uploads_are_forgotten_and_the_newest_remembered(
    shelf: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_REMEMBERED", 2)
    told = [shelf.http.post("/v1/documents", files=[("files", ("x.txt", b"Words.", "text/plain"))]) for _ in range(3)]
    known = [shelf.http.get(f"/v1/documents/uploads/{one.json()['id']}").status_code for one in told]
    assert known == [404, 200, 200]


@pytest.mark.parametrize(
    "name", ["../../x.txt", "a\x00b.txt", "\u202etxt.exe.txt", "<img onerror>.txt", "x" * 300 + ".txt"]
)
def test_a_hostile_file_name_stays_beside_the_index(shelf: Running, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode() + b'"'
    body = head + b"\r\n\r\nSome words.\r\n--b--\r\n"
    reply = shelf.http.post("/v1/documents", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert reply.status_code in (200, 400, 422)
    if reply.status_code == 200:
        report = reply.json()["report"]
        (uri,) = report["added"] or report["unchanged"] or [r[0] for r in report["refused"]]
        assert uri.startswith((shelf.assistant.folder / "originals").resolve().as_uri())


def test_too_large_an_upload_is_refused_and_leaves_nothing(shelf: Running) -> None:
    before = shelf.http.get("/v1/documents").json()
    big = shelf.http.post("/v1/documents", files=[("files", ("big.txt", b"word " * 500_000, "text/plain"))])
    assert big.status_code == 413
    assert shelf.http.get("/v1/documents").json() == before


def test_the_same_document_brought_in_twice_at_once_is_one_document(shelf: Running) -> None:
    files = [("files", ("twice.txt", b"Whoever clicks twice means it once.", "text/plain"))]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shelf.http.post, "/v1/documents", files=files) for _ in range(4)]
        reports = [one.result().json()["report"] for one in asked]
    assert sorted(len(report["added"]) for report in reports) == [0, 0, 0, 1]
    assert sum(len(report["unchanged"]) for report in reports) == 3
    listed = shelf.http.get("/v1/documents").json()["documents"]
    assert [d["source"]["title"] for d in listed].count("twice.txt") == 1


@pytest.mark.parametrize("wait", ["true", "false"])
def test_an_upload_that_fails_unforeseen_is_failed_and_says_no_word_of_it(
    shelf: Running, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    def broken(*args: object, **how: object) -> None:
        raise ValueError("SECRET of a document")

    monkeypatch.setattr(shelf.assistant, "add", broken)
    files = [("files", ("x.txt", b"Some words.", "text/plain"))]
    told = shelf.http.post(f"/v1/documents?wait={wait}", files=files)
    end = time.monotonic() + 30
    while told.json()["state"] != "failed":
        assert told.status_code == 202 and time.monotonic() < end
        told = shelf.http.get(f"/v1/documents/uploads/{told.json()['id']}")
    assert told.status_code == 500 and told.json()["error"]["code"] == "unexpected" and "SECRET" not in told.text


def test_documents_that_wait_to_be_forgotten_hold_up_no_search(shelf: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    held, began = threading.Event(), threading.Semaphore(0)
    removing = shelf.assistant.remove

    def slowly(source: str) -> bool:
        began.release()
        assert held.wait(60)
        return removing(source)

    monkeypatch.setattr(shelf.assistant, "remove", slowly)
    for n in range(8):
        shelf.assistant.add_text(f"Number {n} goes away.", title=f"{n}", uri=f"mem:away/{n}")
    rows = shelf.http.get("/v1/documents").json()["documents"]
    ids = [row["source"]["id"] for row in rows if row["source"]["uri"].startswith("mem:away/")]
    with ThreadPoolExecutor(8) as pool:
        try:
            asked = [pool.submit(shelf.http.delete, f"/v1/documents/{id_}") for id_ in ids]
            assert began.acquire(timeout=30)
            time.sleep(0.3)  # the others stand behind it by now
            assert shelf.http.post("/v1/search", json={"query": "Japan"}, timeout=30).json()["hits"]
        finally:
            held.set()
        assert [one.result().status_code for one in asked] == [200] * 8
