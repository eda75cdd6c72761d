"""Several assistants, each a process of its own, share one collection on a server: one writes, the others read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from milvus_server import Server
from test_index import MAKER, made

from rag.index import Index, Milvus

for library in ("pymilvus", "milvus_lite"):
    pytest.importorskip(library, reason=f"{library} is not installed (the extra [milvus])")
pytestmark = pytest.mark.slow

READS = """
import json, sys
import numpy as np
from rag.index import Index, Milvus
maker, dim = json.loads(sys.argv[2]), 16
torn, looks, seen = [], 0, set()
with Index.open(Milvus.at(sys.argv[1]), **maker, write=False) as index:
    print("reading", flush=True)
    while "the end" not in seen:
        with index.reading():
            ids = index.dense(np.ones((1, dim), np.float32), 1000)[0][0]
            texts = [p.text for p in index.passages(ids.tolist())]
            words = [p.text for p in index.passages([id for id, _ in index.lexical("common", 1000)])]
        looks, seen = looks + 1, seen | set(texts)
        versions = {tuple(text.split()[1:3]) for text in words}
        if len({name for name, _ in versions}) != len(versions) or len(words) != 6 * len(versions):
            torn.append(sorted(words))
        if sorted(words) != sorted(t for t in texts if t.startswith("common")):
            torn.append(sorted(texts))
print(json.dumps([looks, torn]))
"""
WRITES = """
import json, sys
from rag.errors import IndexBusy
from rag.index import Index, Milvus
try: Index.open(Milvus.at(sys.argv[1]), **json.loads(sys.argv[2]))
except IndexBusy as error: print(error)
"""


def test_two_read_while_one_writes_and_a_second_writer_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    address = f"milvus://127.0.0.1:{server.port}/shared"
    args = [address, json.dumps(MAKER)]
    try:
        with Index.open(Milvus.at(address), **MAKER) as writer:
            writer.put(*made("d0", [f"common d0 v0 p{j}" for j in range(6)], 1))
            readers = [
                subprocess.Popen([sys.executable, "-c", READS, *args], stdout=subprocess.PIPE, text=True)
                for _ in range(2)
            ]
            for reader in readers:
                assert reader.stdout is not None
                assert reader.stdout.readline() == "reading\n"
            for n in range(1, 24):
                writer.put(*made(f"d{n % 3}", [f"common d{n % 3} v{n} p{j}" for j in range(6)], n))
            second = subprocess.run([sys.executable, "-c", WRITES, *args], capture_output=True, text=True, check=True)
            assert "open for writing" in second.stdout
            assert "process" in second.stdout
            writer.put(*made("end", ["the end"], 99))
            for reader in readers:
                looks, torn = json.loads(reader.communicate(timeout=120)[0])
                assert torn == []
                assert looks > 3
            assert len(writer.sources()) == 4
    finally:
        server.stop()
