"""An authority, certificates that it signed, and a proxy that ends TLS before a server that knows none of it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest


def signed(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """The PEM files of an authority, of a certificate for this host, and of its key."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("no openssl to make certificates with")
    ca, ca_key, request = folder / "ca.pem", folder / "ca.key", folder / "request.pem"
    certificate, key, names = folder / "server.pem", folder / "server.key", folder / "names"
    names.write_text(f"subjectAltName=IP:{host},DNS:localhost\n")
    new = ["-newkey", "rsa:2048", "-nodes"]
    for args in (
        ["req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=an authority", "-days", "2"],
        ["req", *new, "-keyout", key, "-out", request, "-subj", f"/CN={host}"],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", certificate,
         "-days", "2", "-extfile", names],
    ):  # fmt: skip
        subprocess.run([openssl, *map(str, args)], check=True, capture_output=True)
    return ca, certificate, key


class Proxy:
    """TLS on `port`, bytes as they are to `behind`; from construction to `stop`."""

    def __init__(self, certificate: Path, key: Path, behind: int) -> None:
        self._behind, self._loop, ready = behind, asyncio.new_event_loop(), threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["h2"])

        async def listen() -> None:
            self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=context)
            self.port: int = self._server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            self._loop.run_until_complete(listen())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(10)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)

        async def pass_on(from_: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while some := await from_.read(1 << 16):
                    to.write(some)
                    await to.drain()
            to.close()

        with suppress(asyncio.CancelledError):
            await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer))

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.1)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._thread.join(10)
