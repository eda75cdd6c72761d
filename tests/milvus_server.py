"""Servers of Milvus in processes of their own, that a test can kill; and the one that a person has.

`Server` is Milvus Lite on 127.0.0.1. `Standalone` is the real server that the package `milvus` brings (2.3.5, 58 MB,
starts in 9 s; by its nature it listens on every address of the machine). `elsewhere` is whatever $MILVUS_URI names.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rag.evals.processes import free_port
from rag.index import Milvus

PEERS = 2380  # a port that the standalone server takes besides: one such server a machine


class Server:
    """Runs from construction to `stop` or `kill`; `start` goes on with the same files on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self) -> None:
        where = ["--data-dir", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._run([sys.executable, "-m", "milvus_lite", "server", *where], os.environ)
        for _ in range(600):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError("the server does not answer")

    def kill(self) -> None:
        """As a power cut would end it, but for what the system still writes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _run(self, command: list[str], environment: Any) -> None:
        self._log = (self.folder.parent / "server.log").open("ab")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=environment, cwd=self.folder.parent
        )

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait(20)
        self._log.close()


class Standalone(Server):
    """`settings` are those of the package: authorization_enabled, tls_mode, server_pem_path, ..."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        from milvus import MilvusServerConfig, _initialize_data_files

        home = folder / "milvus"
        ports = {name: free_port() for name in MilvusServerConfig().configurable_items if name.endswith("_port")}
        self._config = MilvusServerConfig(data_dir=str(home), **ports)
        for name, value in settings.items():
            self._config.set(name, value)
        self._config.resolve()
        _initialize_data_files(str(home))
        self._health = free_port()
        self.port = ports["proxy_port"]
        self.folder = home
        self.start()

    def start(self) -> None:
        for _ in range(1_200):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", PEERS)) != 0:
                    break
            time.sleep(0.1)
        else:
            raise TimeoutError(f"another standalone server runs here: its etcd has port {PEERS}, whatever it is told")
        binary = self.folder / "bin" / "milvus"
        more = {
            "DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self._health),
            "MILVUS_RUN_DIR": str(self.folder / "run"), "LD_LIBRARY_PATH": str(binary.parent),
            "MILVUSCONF": str(self.folder / "configs"),
        }  # fmt: skip
        self._run([str(binary), "run", "standalone"], os.environ | more)
        for _ in range(1_200):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._health}/healthz") as told:
                if b"OK" in told.read():
                    return
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}")
            time.sleep(0.1)
        raise TimeoutError("the server does not answer")

    def _run(self, command: list[str], environment: Any) -> None:
        self._log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment, cwd=self.folder)


def elsewhere(name: str) -> Milvus:
    """A place on the server of $MILVUS_URI (http://host:port or https://..., RAG_MILVUS_TOKEN beside it)."""
    if not (uri := os.environ.get("MILVUS_URI", "")):
        pytest.skip("no server is named in $MILVUS_URI")
    return Milvus(uri, name, token=os.environ.get("RAG_MILVUS_TOKEN", ""))


def dropped(place: Milvus) -> None:
    """Nothing is left there."""
    from pymilvus import MilvusClient

    client = MilvusClient(place.uri, token=place.token, timeout=30)
    for name in client.list_collections():
        if name.startswith(f"{place.name}_"):
            client.drop_collection(name)
    client.close()
