"""A Milvus Lite server in a process of its own, on 127.0.0.1, that a test can kill."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Server:
    """Runs from construction to `stop` or `kill`; `start` goes on with the same files on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        where = ["--data-dir", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._log = (self.folder.parent / "server.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite", "server", *where], stdout=self._log, stderr=self._log
        )
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

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(60)
        self._log.close()
