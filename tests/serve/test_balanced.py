"""Two `rag serve --shared` over one index behind a balancer, the shipped files of nginx and HAProxy among them: one is
killed in the middle, what one takes in the other knows, and nobody hears of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from certificates import certificates

import rag
from rag.evals.processes import free_port
from tests.serve.conftest import TREES

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="a server is killed by a signal")]
SHIPPED = Path(rag.__file__).parent / "deploy"
TOKEN = {"Authorization": "Bearer s3cret"}
NAMES = ("web1", "web2")


class Server:
    """One `rag serve --shared`, a process."""

    def __init__(self, name: str, folder: Path, place: str = "") -> None:
        self.name, self.port = name, free_port()
        settings = {"llm.model": "none", "serve.hosts": "docs.example.org", "serve.name": name, "index.place": place}
        settings["index.folder"] = str(folder)
        command = [sys.executable, "-m", "rag", "serve", "--shared", "--port", str(self.port)]
        command += [word for pair in settings.items() for word in ("--set", "=".join(pair))]
        command += ["--set", "serve.per_minute=1000000"]
        folder.parent.mkdir(exist_ok=True)
        log = (folder.parent / f"{name}.log").open("wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"RAG_TOKEN": "s3cret"})
        log.close()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=TOKEN, timeout=60, trust_env=False)

    def wait(self) -> None:
        wait_for(self.http, "/v1/documents")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.http.close()


def wait_for(http: httpx.Client, path: str) -> None:
    end = time.monotonic() + 90
    while True:
        with suppress(httpx.TransportError):
            if http.get(path).status_code == 200:
                return
        assert time.monotonic() < end, f"nobody answers at {http.base_url}"
        time.sleep(0.1)


@pytest.fixture
def servers(tmp_path: Path, seeds: Path) -> Iterator[list[Server]]:
    rag.open(tmp_path / "index", documents=seeds, llm_model="none").close()
    with ExitStack() as stack:
        both = [Server(name, tmp_path / "index") for name in NAMES]
        for server in both:
            stack.callback(server.end)
        for server in both:
            server.wait()
        yield both


def configured(name: str, folder: Path, servers: Sequence[Server], port: int, rate: str) -> Path:
    """The shipped file for these addresses."""
    made = certificates(folder)
    (folder / "tls.pem").write_bytes(made["cert"].read_bytes() + made["key"].read_bytes())
    text = (SHIPPED / name).read_text()
    for server in servers:
        text, times = re.subn(rf"\b{server.name}:7861", f"127.0.0.1:{server.port}", text)
        assert times == 2
    for old, new in (
        ("/etc/rag/tls.pem", str(folder / "tls.pem")),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("gt 240", f"gt {rate}"),
        ("rate=240r/m", f"rate={rate}r/m"),
    ):
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


def program(kind: str, folder: Path, file: Path) -> list[str]:
    """The command of a balancer. Skips where it is not installed."""
    binary = shutil.which(kind, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip(f"{kind} is not installed (apt install {kind}): its shipped file is not tried here")
    if kind == "haproxy":
        return [binary, "-db", "-f", str(file)]
    own = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;"
    return [binary, "-p", str(folder), "-c", str(file), "-g", own]


class Alternating:
    """The smallest balancer there is: each connection goes to the next server that takes it."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._ports, self._turn = [server.port for server in servers], 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = self._next()
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _next(self) -> socket.socket:
        for _ in self._ports:
            self._turn += 1
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", self._ports[self._turn % len(self._ports)]))
        raise OSError("nobody is there")

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def balanced(kind: str, servers: Sequence[Server], folder: Path, rate: str = "1000000") -> Iterator[httpx.Client]:
    """A client of the balancer; by its TLS, where it is one that people use."""
    with ExitStack() as stack:
        verify: ssl.SSLContext | bool = True
        headers = TOKEN | {"Connection": "close"}  # each request may go elsewhere
        if kind == "alternating":
            ours = Alternating(servers)
            stack.callback(ours.close)
            url = f"http://127.0.0.1:{ours.port}"
        else:
            port = free_port()
            file = configured({"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind], folder, servers, port, rate)
            running = subprocess.Popen(program(kind, folder, file), stderr=(folder / f"{kind}.log").open("wb"))
            stack.callback(running.wait)
            stack.callback(running.terminate)
            url, verify = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=str(folder / "cert.pem"))
            headers |= {"Host": "docs.example.org"}
        http = stack.enter_context(
            httpx.Client(base_url=url, verify=verify, headers=headers, timeout=60, trust_env=False)
        )
        wait_for(http, "/health")
        yield http


@dataclass
class Seen:
    """What the askers met: when failed requests began and ended."""

    good: int = 0
    failed: list[tuple[float, float, str]] = field(default_factory=list)

    def ask(self, http: httpx.Client, until: threading.Event) -> None:
        while not until.is_set():
            began = time.monotonic()
            try:
                told = http.post("/v1/answers", json={"question": TREES})
                wrong = "" if told.status_code == 200 and "250" in told.json()["text"] else f"{told.status_code}"
            except httpx.TransportError as error:
                wrong = repr(error)
            if wrong:
                self.failed.append((began, time.monotonic(), wrong))
            else:
                self.good += 1


def documents(http: httpx.Client) -> set[str]:
    return {row["source"]["title"] for row in http.get("/v1/documents").json()["documents"]}


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "alternating"])
def test_one_of_two_servers_is_killed_and_nobody_hears_of_it(kind: str, servers: list[Server], tmp_path: Path) -> None:
    with balanced(kind, servers, tmp_path) as http:
        seen, until = Seen(), threading.Event()
        askers = [threading.Thread(target=seen.ask, args=(http, until)) for _ in range(3)]
        for asker in askers:
            asker.start()
        time.sleep(2)
        assert seen.good and not seen.failed
        servers[0].process.send_signal(signal.SIGKILL)
        servers[0].process.wait()
        dead, before = time.monotonic(), seen.good
        time.sleep(3)
        until.set()
        for asker in askers:
            asker.join()
        assert seen.good > before + 3, "the other one answers"
        in_flight = [one for one in seen.failed if one[0] <= dead]
        assert seen.failed == in_flight, "requests failed that began when it was dead"
        assert not in_flight or kind != "nginx", "it asks the other one, also for what was under way"
        assert len(in_flight) <= len(askers) or kind == "alternating"
        # the one that is left can write, though it was not the only one
        told = http.post("/v1/documents", files=[("files", ("after.txt", b"The mill burned down in 1902."))])
        assert told.status_code == 200 and "after.txt" in documents(servers[1].http)


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "alternating"])
def test_what_goes_in_through_one_is_known_by_the_other_and_can_be_forgotten_by_it(
    kind: str, servers: list[Server], tmp_path: Path
) -> None:
    first, second = (server.http for server in servers)
    with balanced(kind, servers, tmp_path) as http:

        def bring(n: int) -> int:
            where = (first, second, http)[n % 3]  # both at once: they take turns
            return where.post("/v1/documents", files=[("files", (f"{n}.txt", f"Mill {n} has {n} wheels."))]).status_code

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(bring, range(12))) == [200] * 12
        assert documents(first) == documents(second) == documents(http) >= {f"{n}.txt" for n in range(12)}
        found = second.post("/v1/search", json={"query": "How many wheels has mill 9?", "k": 3}).json()["hits"]
        source = next(h["passage"]["source"] for h in found if h["passage"]["source"]["title"] == "9.txt")
        assert first.delete(f"/v1/documents/{source['id']}").status_code == 200
        assert "9.txt" not in documents(second)
        assert not Path(source["uri"].removeprefix("file://")).exists()
        if kind != "alternating":
            for n in range(4):
                files = [("files", (f"later{n}.txt", f"The {n}th boat came late."))]
                upload = http.post("/v1/documents?wait=false", files=files).json()["id"]
                assert upload.partition(".")[0] in NAMES
                for _ in range(3):  # whoever took it is asked
                    assert http.get(f"/v1/documents/uploads/{upload}").status_code in (200, 202)
        with http.stream("POST", "/v1/answers", json={"question": TREES, "stream": True}) as reply:
            events = [line.removeprefix("event: ") for line in reply.iter_lines() if line.startswith("event: ")]
        assert events[0] == "found" and events[-1] == "answer"


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_token_has_one_limit_over_all_servers_and_other_names_are_refused(
    kind: str, servers: list[Server], tmp_path: Path
) -> None:
    with balanced(kind, servers, tmp_path, rate="60") as http:
        told = [http.get("/v1/collections").status_code for _ in range(80)]
        assert told[0] == 200 and told[-1] == 429
        assert http.get("/v1/collections", headers={"Host": "evil.example.org"}).status_code == 421
    assert servers[0].http.get("/v1/collections", headers={"Host": "evil.example.org"}).status_code == 421


def test_two_servers_over_milvus_take_documents_in_and_one_is_killed(tmp_path: Path, seeds: Path) -> None:
    """Machines of their own, as it were: each has its own folder, and only the server of Milvus in common."""
    for library in ("pymilvus", "milvus_lite"):
        pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
    from milvus_server import Server as Milvus

    with ExitStack() as stack:
        milvus = Milvus(tmp_path / "milvus")
        stack.callback(milvus.kill)
        place = f"milvus://127.0.0.1:{milvus.port}/balanced"
        rag.open(place, documents=seeds, llm_model="none", index_folder=str(tmp_path / "own")).close()
        servers = [Server(name, tmp_path / name / "index", place) for name in NAMES]
        for server in servers:
            stack.callback(server.end)
        for server in servers:
            server.wait()
        http = stack.enter_context(balanced("alternating", servers, tmp_path))

        def bring(n: int) -> int:
            return http.post("/v1/documents", files=[("files", (f"{n}.txt", f"Mill {n} has {n} wheels."))]).status_code

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(bring, range(4))) == [200] * 4
        assert documents(servers[0].http) == documents(servers[1].http) >= {f"{n}.txt" for n in range(4)}
        assert not [path for name in NAMES for path in (tmp_path / name / "index").rglob("*.txt")], "no bytes are kept"
        servers[0].process.send_signal(signal.SIGKILL)
        servers[0].process.wait()
        assert "250" in http.post("/v1/answers", json={"question": TREES}).json()["text"]
        assert bring(5) == 200 and "5.txt" in documents(servers[1].http)
