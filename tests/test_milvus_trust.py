"""Milvus over TLS and with tokens: who is trusted, who is let in, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_server import Server, Standalone
from test_index import MAKER, several
from tls import Proxy, signed

from rag.errors import ConfigError, IndexError_
from rag.index import Index, Milvus

for library in ("pymilvus", "milvus_lite"):
    pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ca_and_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Milvus Lite as a server, which knows no TLS, behind a proxy that does."""
    folder = tmp_path_factory.mktemp("tls")
    ca, certificate, key = signed(folder)
    server = Server(folder / "data")
    proxy = Proxy(certificate, key, server.port)
    yield ca, proxy.port
    proxy.stop()
    server.stop()


def test_an_index_is_written_and_read_over_tls(ca_and_port: tuple[Path, int]) -> None:
    ca, port = ca_and_port
    place = Milvus.at(f"milvus+tls://127.0.0.1:{port}/safe", ca=str(ca), timeout_s=20)
    with Index.open(place, **MAKER) as index:
        index.put(*several(3)[2])
    with Index.open(place, **MAKER, write=False) as index:
        assert index.document(several(3)[2][0].source.id) == several(3)[2][0]
        assert len(index.lexical("paper2", 9)) == 3


def test_a_server_whose_authority_is_unknown_gets_nothing(ca_and_port: tuple[Path, int], tmp_path: Path) -> None:
    """Neither one that the system does not know, nor one that another authority vouches for, nor plain text."""
    _, port = ca_and_port
    other, _, _ = signed(tmp_path)
    for ca in ("", str(other)):
        with pytest.raises(IndexError_, match=r"milvus\+tls://127") as error:
            Index.open(Milvus.at(f"milvus+tls://127.0.0.1:{port}/safe", token="u:secret", ca=ca, timeout_s=4), **MAKER)
        assert "secret" not in str(error.value)
        assert "index.tls_ca" in error.value.hint
    with pytest.raises(IndexError_, match="did not answer"):
        Index.open(Milvus.at(f"milvus://127.0.0.1:{port}/safe", timeout_s=4), **MAKER)


def test_a_file_of_an_authority_that_is_not_there_is_named(ca_and_port: tuple[Path, int]) -> None:
    _, port = ca_and_port
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        Index.open(Milvus.at(f"milvus+tls://127.0.0.1:{port}/safe", ca="nowhere.pem", timeout_s=4), **MAKER)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The standalone server with its own TLS and its own users."""
    pytest.importorskip("milvus", reason="no standalone server is installed (pip install milvus==2.3.5)")
    folder = tmp_path_factory.mktemp("guarded")
    ca, certificate, key = signed(folder)
    server = Standalone(
        folder,
        authorization_enabled=True,
        tls_mode=1,
        server_pem_path=str(certificate),
        server_key_path=str(key),
        ca_pem_path=str(ca),
    )
    yield ca, server.port
    server.stop()


def test_the_standalone_server_lets_in_who_has_the_token_and_nobody_else(guarded: tuple[Path, int]) -> None:
    ca, port = guarded
    address = f"milvus+tls://127.0.0.1:{port}/guarded"
    with Index.open(Milvus.at(address, token="root:Milvus", ca=str(ca)), **MAKER) as index:
        index.put(*several(3)[2])
        assert index.document(several(3)[2][0].source.id) == several(3)[2][0]
    for token in ("", "root:secret", "nobody:secret"):
        with pytest.raises(IndexError_, match="refused the token") as error:
            Index.open(Milvus.at(address, token=token, ca=str(ca), timeout_s=5), **MAKER, write=False)
        assert "secret" not in str(error.value)
        assert "RAG_MILVUS_TOKEN" in error.value.hint
