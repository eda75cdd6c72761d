"""Where an index on Milvus is: a server and a name on it, or one file on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import ConfigError

_SERVER = re.compile(r"milvus(?P<tls>\+tls)?://(?P<host>[^/@\s]+)/(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})")
_FILE = re.compile(r"milvus:(?!//)(?P<path>.+\.db)")


@dataclass(frozen=True, slots=True)
class Milvus:
    """`uri`: 'http://host:port', 'https://...', or the path of a file that Milvus Lite keeps; `name`: what the names of
    its collections begin with; `token`: 'user:password' or a key, never shown; `ca`: a PEM file of the authority that
    signed the server's certificate, '' for those that the system trusts; `timeout_s`: how long an answer is waited for,
    while the server is started again too; `here`: a folder of this machine for what can be made again from the server,
    None: a temporary one."""

    uri: str
    name: str = "rag"
    database: str = ""
    token: str = field(default="", repr=False)
    ca: str = ""
    timeout_s: float = 30.0
    here: Path | None = field(default=None, compare=False)

    @staticmethod
    def at(
        address: str,
        *,
        database: str = "",
        token: str = "",
        ca: str = "",
        timeout_s: float = 30.0,
        here: Path | None = None,
    ) -> Milvus:
        """The place that a person wrote as an address. Raises ConfigError.

        >>> str(Milvus.at("milvus+tls://db.example.org:19530/papers"))
        'milvus+tls://db.example.org:19530/papers'
        >>> Milvus.at("milvus:./papers.db").file
        './papers.db'
        """
        if found := _FILE.fullmatch(address):
            return Milvus(found["path"], timeout_s=timeout_s, here=here)
        if found := _SERVER.fullmatch(address):
            uri = f"{'https' if found['tls'] else 'http'}://{found['host']}"
            return Milvus(uri, found["name"], database, token, ca, timeout_s, here)
        raise ConfigError(
            f"{address.rpartition('@')[2]!r} is no place of an index",
            "for example milvus://host:19530/name, milvus+tls://host:19530/name, or milvus:./file.db",
        )

    @property
    def file(self) -> str | None:
        """The path, if it is a file on this machine."""
        return self.uri if self.uri.endswith(".db") and "://" not in self.uri else None

    def __str__(self) -> str:
        if self.file:
            return f"milvus:{self.file}"
        scheme, _, host = self.uri.partition("://")
        return f"milvus{'+tls' if scheme == 'https' else ''}://{host}/{self.name}"
