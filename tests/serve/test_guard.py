"""Bad requests: the server lives, others are unaffected, each is refused with a stable code and a clear sentence."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import rag
from rag.errors import UsageError
from rag.serve import guard, serve
from rag.serve.guard import Rates
from tests.serve.conftest import TREES, Running, serving


def refused(reply: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The refusal in a reply, which is as it must be."""
    assert reply.status_code == status, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert error["message"] and len(reply.text) < 2000
    assert code is None or error["code"] == code
    return error


def raw(server: Running, data: bytes, timeout_s: float = 20.0) -> bytes:
    """What the server says to these bytes."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=timeout_s) as line:
        line.sendall(data)
        said = b""
        while piece := line.recv(65_536):
            said += piece
        return said


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b'{"question": 1}', b'{"question": ""}', b'{"question": ["a"]}',
        b'{"question": "a", "unknown": 1}', b'{"question": "a", "history": "b"}', b'{"question": NaN}',
        b'{"question": "a", "where": {"since": "yesterday"}}', b'{"question": "a", "stream": "maybe"}',
        b'{"question": "\\ud800"}', b"\xff\xfe\x00", b'{"question":' * 80_000, b"[" * 100_000, b'{"a":' * 100_000,
        b'{"question": "a", "history": [{"question": "' + b"x" * 200_000 + b'"}]}',
        json.dumps({"question": "x" * 4001}).encode(), json.dumps({"question": "\u200b \u200b"}).encode(),
    ],
    ids=lambda b: repr(b[:40]),
)  # fmt: skip
def test_a_body_that_is_no_question_is_refused(server: Running, body: bytes) -> None:
    reply = server.http.post("/v1/answers", content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422), reply.text
    refused(reply, reply.status_code)


def test_a_refusal_does_not_repeat_what_was_sent(server: Running) -> None:
    secret = "heliotrope"
    reply = server.http.post("/v1/answers", json={"question": [secret], secret * 9: secret})
    assert reply.status_code == 422 and secret not in reply.text


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "x"])
def test_a_body_of_no_or_another_content_type_is_refused_with_the_header_that_mends_it(
    server: Running, kind: str | None
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    for path in ("/v1/answers", "/v1/search", "/v1/receipts", "/v1/chat/completions"):
        reply = server.http.post(path, content=json.dumps({"question": TREES}), headers=headers)
        assert refused(reply, 415, "media_type")["hint"] == "send the header Content-Type: application/json"
    reply = server.http.post("/v1/documents", json={"files": ["a"]})
    assert "multipart/form-data" in refused(reply, 415, "media_type")["hint"]
    assert refused(server.http.post("/v1/answers"), 422, "invalid")["param"] == "the body"  # nothing at all


def test_a_method_that_an_address_does_not_have_is_refused_with_those_that_it_has(server: Running) -> None:
    for method, path, has in (
        ("PUT", "/v1/search", "GET, POST"), ("GET", "/v1/answers", "POST"),
        ("POST", "/v1/documents/x", "DELETE, GET"), ("DELETE", "/v1/models/rag/default", "GET"),
    ):  # fmt: skip
        reply = server.http.request(method, path)
        refused(reply, 405, "method_not_allowed")
        assert reply.headers["allow"] == has


def test_json_that_breaks_off_is_said_to_be_no_json(server: Running) -> None:
    reply = server.http.post("/v1/answers", content=b'{"question": ', headers={"content-type": "application/json"})
    assert "character 13" in refused(reply, 400, "json")["message"]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"question":' * 80_000, b'{"question": "\xff\xfe"}', b"\xff\xfe\x00"]
)
def test_json_on_which_the_parser_gives_up_is_said_to_be_none(server: Running, body: bytes) -> None:
    error = refused(server.http.post("/v1/answers", content=body, headers={"content-type": "application/json"}), 400)
    assert (error["code"], error["param"]) == ("json", "body") and "JSON" in error["message"]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_that_is_none_is_said_to_be_none(server: Running, kind: str) -> None:
    error = refused(server.http.post("/v1/documents", content=b"abc", headers={"content-type": kind}), 400, "multipart")
    assert "curl -F" in error["hint"]


def test_a_day_that_is_none_is_refused_with_one_that_is(server: Running) -> None:
    told = {"question": TREES, "where": {"since": "yesterday"}}
    assert "2026-01-31" in refused(server.http.post("/v1/answers", json=told), 422, "invalid")["message"]


@pytest.mark.parametrize("k", [0, -1, 101, 1e9, "x", None, 1.5])
def test_a_number_out_of_its_range_is_refused(server: Running, k: Any) -> None:
    assert "k" in refused(server.http.post("/v1/search", json={"query": "trees", "k": k}), 422, "invalid")["message"]


def test_twenty_megabytes_of_json_are_refused(server: Running) -> None:
    big = json.dumps({"question": "x" * 20_000_000}).encode()
    reply = server.http.post("/v1/answers", content=big, headers={"content-type": "application/json"})
    refused(reply, 413, "size")


def test_a_body_that_does_not_say_its_length_is_cut_off_all_the_same(server: Running) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"question": "'
        for _ in range(40):
            yield b"x" * 50_000
        yield b'"}'

    reply = server.http.post("/v1/answers", content=pieces(), headers={"content-type": "application/json"})
    refused(reply, 413, "size")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "0.0.0.0"])
def test_a_foreign_name_is_refused(server: Running, host: str) -> None:
    refused(server.http.get("/health", headers={"host": host}), 421, "host")


def test_a_request_of_another_site_is_refused_and_nobody_else_may_read(server: Running) -> None:
    refused(server.http.post("/v1/answers", json={}, headers={"origin": "https://evil.example"}), 403, "origin")
    refused(server.http.post("/v1/answers", json={}, headers={"origin": "null"}), 403, "origin")
    own = server.http.options("/v1/answers", headers={"origin": server.url, "access-control-request-method": "POST"})
    assert own.status_code == 405
    for reply in (own, server.http.get("/health", headers={"origin": server.url})):
        assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/v1", "/nothing", "/v1/documents/nothing", "/v1/documents/../../etc/passwd",
                                  "/v1/documents/%2e%2e%2fetc%2fpasswd/text", "/v1/documents/%00", "/v1/models/gpt",
                                  "/v1/collections/nothing", "/redoc"])  # fmt: skip
def test_what_is_not_there_is_not_found(server: Running, path: str) -> None:
    reply = server.http.delete(path) if "collections" in path else server.http.get(path)
    refused(reply, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "documents/no"), ("GET", "documents/no/text"), ("DELETE", "documents/no"), ("DELETE", "collections/no"),
     ("GET", "documents/uploads/no")],
)  # fmt: skip
def test_what_is_not_there_is_named_and_where_to_look(server: Running, method: str, path: str) -> None:
    error = refused(server.http.request(method, f"/v1/{path}"), 404, "not_found")
    kind = "upload" if "uploads" in path else path.split("/")[0].removesuffix("s")
    assert error["message"] == f"there is no such {kind}" and error["hint"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) * 9
        + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"GET /health HTTP/1.1\r\n\r\n",
    ],
    ids=["9000 headers", "a header of 100 kB", "garbage", "TLS", "a length of -1", "two lengths", "no host"],
)
def test_what_is_hardly_http_is_answered_and_the_next_one_is_served(server: Running, head: bytes) -> None:
    said = raw(server, head)
    assert said == b"" or said.split(b" ")[1][:1] == b"4", said[:100]
    assert server.http.get("/health").status_code == 200


def test_a_thousand_headers_are_too_many(server: Running) -> None:
    refused(server.http.get("/health", headers={f"x-{n}": "y" for n in range(1000)}), 431, "headers")
    refused(server.http.get("/health", headers={"x": "y" * 40_000}), 431, "headers")


def test_fifty_thousand_ranges_are_no_ranges(server: Running) -> None:
    whole = server.http.get("/docs")
    assert server.http.get("/docs", headers={"range": "bytes=" + "0-0," * 5_000}).text == whole.text
    with contextlib.suppress(httpx.ReadError):  # 200 kB of header: the line is cut
        refused(server.http.get("/docs", headers={"range": "bytes=" + "0-0," * 50_000}), 431, "headers")
    assert server.http.get("/health").status_code == 200


def test_a_slow_body_is_given_up_and_keeps_nobody(opened: Callable[..., rag.Assistant]) -> None:
    with serving(opened(serve_body_s=0.5)) as server:
        head = b"POST /v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n"
        head += b"Content-Type: application/json\r\n\r\n{"
        said: list[bytes] = []
        slow = [threading.Thread(target=lambda: said.append(raw(server, head))) for _ in range(20)]
        for thread in slow:
            thread.start()
        start = time.monotonic()
        assert server.http.get("/health").status_code == 200
        assert time.monotonic() - start < 0.5
        for thread in slow:
            thread.join(10)
        assert [s.split(b" ")[1] for s in said] == [b"408"] * 20


@pytest.mark.parametrize(
    "drops",
    [[b"GET /health HT"] + [b"T"] * 40, [b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /he"] + [b"a"] * 40],
    ids=["the first of its connection", "a later one"],
)
def test_a_head_that_comes_drop_by_drop_is_given_up(opened: Callable[..., rag.Assistant], drops: list[bytes]) -> None:
    with serving(opened(serve_body_s=0.5)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            hung_up = False
            for drop in drops:  # each keeps the line warm, and the head is never whole
                try:
                    line.sendall(drop)
                except OSError:
                    hung_up = True
                    break
                time.sleep(0.1)
            with contextlib.suppress(ConnectionError):
                while line.recv(65_536):  # times out if nobody ever hangs up
                    pass
                hung_up = True
        assert hung_up or drop == drops[-1]
        assert server.http.get("/health").status_code == 200


def connected(server: int, client: int) -> bool:
    """Whether the server's end of a connection is open, by its two ports."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        (row[1].endswith(f":{server:04X}"), row[2].endswith(f":{client:04X}"), row[3]) == (True, True, "01")
        for row in rows
    )


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not tell of its connections")
def test_who_reads_nothing_of_what_it_asked_for_is_cut_off(opened: Callable[..., rag.Assistant]) -> None:
    with serving(opened(serve_body_s=0.5)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            line.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 600)  # tens of MB of replies
            own = line.getsockname()[1]
            assert connected(int(port), own)
            end = time.monotonic() + 120
            while connected(int(port), own):
                assert time.monotonic() < end, "it is waited for"
                time.sleep(0.1)
        assert server.http.get("/health").status_code == 200


@pytest.fixture(scope="module")
def guarded(opened: Callable[..., rag.Assistant]) -> Iterator[Running]:
    with serving(opened(), tokens=["s3cret", "other"]) as running:
        yield running


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", "bearer s3cre", "Basic s3cret",
                                   "Bearer s3cret2", "s3cret", "Bearer \xff\xfe"])  # fmt: skip
def test_without_a_known_token_nothing_is_served_but_health(guarded: Running, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given.encode("latin-1")}
    for path in ("/v1/documents", "/v1/search?q=x", "/metrics", "/openapi.json", "/docs", "/mcp", "/nothing"):
        refused(guarded.http.get(path, headers=headers), 401, "token")
    reply = guarded.http.post("/v1/answers", json={"question": TREES}, headers=headers)
    refused(reply, 401, "token")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert guarded.http.get("/health", headers=headers).status_code == 200


@pytest.mark.parametrize("given", ["Bearer s3cret", "bearer other"])
def test_each_token_opens(guarded: Running, given: str) -> None:
    assert guarded.http.get("/v1/documents", headers={"authorization": given}).status_code == 200


def test_an_address_that_others_can_reach_needs_a_token(opened: Callable[..., rag.Assistant]) -> None:
    with pytest.raises(UsageError, match="no token"):
        serve(opened(), host="0.0.0.0")


def test_each_token_has_its_own_rate(opened: Callable[..., rag.Assistant]) -> None:
    with serving(opened(serve_per_minute=5), tokens=["one", "two"]) as server:
        one, two = ({"authorization": f"Bearer {token}"} for token in ("one", "two"))
        assert [server.http.get("/v1/models", headers=one).status_code for _ in range(5)] == [200] * 5
        over = server.http.get("/v1/models", headers=one)
        refused(over, 429, "rate")
        assert 1 <= int(over.headers["retry-after"]) <= 13
        assert server.http.get("/v1/models", headers=two).status_code == 200
        assert server.http.get("/health", headers=one).status_code == 200
        guesses = [server.http.get("/v1/models", headers={"authorization": f"Bearer {n}"}) for n in range(9)]
        assert [g.status_code for g in guesses] == [401] * 5 + [429] * 4  # who guesses is slowed by address


def test_of_more_askers_than_can_be_remembered_the_one_who_was_longest_away_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_MOST_REMEMBERED", 2)
    rates = Rates(1, clock=lambda: 0.0)
    assert [rates.wait_s(asker) for asker in "abc"] == [0.0] * 3
    assert rates.wait_s("b") > 0 and rates.wait_s("c") > 0
    assert rates.wait_s("a") == 0.0


def test_every_reply_forbids_what_a_page_of_it_could_do(server: Running) -> None:
    for reply in (server.http.get("/docs"), server.http.get("/nothing"), server.http.get("/", headers={"host": "x"})):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"


def test_a_bucket_fills_again_with_time() -> None:
    now = 0.0
    rates = Rates(60, clock=lambda: now)
    assert [rates.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait_s("a") == pytest.approx(1.0)
    now = 2.5
    assert [rates.wait_s("a") for _ in range(3)] == pytest.approx([0.0, 0.0, 0.5])
    now = 10_000.0
    assert [rates.wait_s("a") > 0 for _ in range(61)] == [False] * 60 + [True]


def test_what_is_noted_of_a_request_holds_no_text_of_it(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rag.serve"):
        server.http.get("/v1/search", params={"q": "heliotrope"})
        server.http.post("/v1/answers", json={"question": "What is heliotrope?"})
        server.http.get("/heliotrope")
        server.http.get("/v1/documents/heliotrope")
    noted = [json.loads(r.message) for r in caplog.records if r.name == "rag.serve"]
    assert [n["route"] for n in noted] == ["/v1/search", "/v1/answers", "none", "/v1/documents/{document}"]
    assert not [r for r in caplog.records if r.name.startswith("rag") and "heliotrope" in r.getMessage()]
