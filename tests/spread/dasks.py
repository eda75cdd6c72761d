"""A real Dask cluster on 127.0.0.1, and a wire to it that can be cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spread import folders

import rag
from rag.evals.processes import free_port


class Dask:
    """A scheduler and its workers, each a process with a log; nothing listens but on 127.0.0.1."""

    def __init__(self, folder: Path, tls: Mapping[str, Path] | None = None, **settings: str) -> None:
        self.port = free_port()
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        files = [
            f"--tls-{name}-file={path}" if name == "ca" else f"--tls-{name}={path}"
            for name, path in (tls or {}).items()
        ]
        self._common = [*files, "--no-dashboard"]
        self._environment = os.environ | settings | {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
        self._log = folder / "dask.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> subprocess.Popen[bytes]:
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        if self.address.startswith("tls"):
            where = ["--host", "tls://127.0.0.1", "--port", str(self.port)]
        return self._start("scheduler", *where)

    def workers(self, number: int) -> None:
        for _ in range(number):
            self._start("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny")

    def log(self) -> str:
        return self._log.read_text()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, kind: str, *args: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *args, *self._common]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        self.processes.append(process)
        return process


@contextmanager
def running(folder: Path, workers: int, tls: Mapping[str, Path] | None = None, **settings: str) -> Iterator[Dask]:
    dask = Dask(folder, tls, **settings)
    try:
        dask.scheduler()
        folders.wait_for(lambda: "Scheduler at" in dask.log())
        dask.workers(workers)
        folders.wait_for(lambda: dask.log().count("Register worker") >= workers)
        yield dask
    finally:
        dask.end()


def added(where: Path, *paths: Path, settings: Mapping[str, Any] | None = None, **how: Any) -> Any:
    with rag.Assistant(where, rag.Config.load(settings), write=True) as assistant:
        report = assistant.add(paths, **how)
        assert assistant.check().ok
        return folders.outcome(report)


class Wire:
    """Passes bytes on between clients and a port of this machine, until `cut`; then for whoever comes next."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.came = 0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        while self._ends:
            with suppress(OSError):
                self._ends.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self.came += 1
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
