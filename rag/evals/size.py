"""What so many passages need: memory, disk, machines, money, seconds. Each line says whence it is.

    python -m rag.evals.size --passages 100000000 [--replicas 2] [--questions-a-second 5] [--vcpu-hour 0.04] ...

    measured    seen on this project's own machine: two cores of a server CPU, real texts (`rag.evals.scale` for the
                folder, `rag.evals.spread` for embedding, the rows as they are sent for Milvus)
    reckoned    follows from what was measured by the formula beside it; nobody has run it at that size
    assumed     an input: a price, what a kind of index takes by its definition, how full a machine may be

One folder is reckoned first, because nothing is cheaper where it is enough. rag/deploy/README.md says what to choose.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MEASURED = {  # rag.evals.scale: passages -> disk MB, of it the snapshot, peak memory MB, p95 ms of a fused search
    10_000: (42.3, 15.4, 192.8, 3.2),
    100_000: (305.7, 39.6, 200.4, 26.0),
    1_000_000: (3042.9, 393.6, 607.3, 51.8),
}
DIM = 384
ROW = {"ids and counts": 6 * 8, "key, hash, seal": 96, "words": 454, "vector": 4 * DIM}
"""Bytes of a passage as it is sent to Milvus, of scientific abstracts; its text lies once, with its document."""
TEXT, TERMS = 536, 55
"""Characters of text a passage, and different words in it; the same abstracts."""
DOCUMENT = 1_300
"""Bytes of a document in the list of all documents that each process on Milvus holds in memory."""
EMBEDDED = 100.0
"""Passages read, split and embedded in a second of CPU: rag.evals.spread, the plain add."""
KINDS = {  # bytes of a vector in memory, by definition of the kind; graph: 16 neighbours, both ways at the bottom, ids
    "HNSW": 4.0 * DIM + 2 * 16 * 4 * 1.1,
    "HNSW_SQ": 1.0 * DIM + 2 * 16 * 4 * 1.1,
    "IVF_SQ8": 1.0 * DIM + 8,
    "IVF_RABITQ": DIM / 8 + 8,
    "DISKANN": DIM / 4.0 + 16,
}
HOURS = 730
GB = 1e9


class Line(NamedTuple):
    """One thing that is needed: how much, in which unit, by which formula, and whence."""

    what: str
    value: float
    unit: str
    formula: str
    whence: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be kept and asked, and the assumptions. Prices in one currency, whichever."""

    passages: int
    kind: str = "HNSW_SQ"
    replicas: int = 2
    a_second: float = 5.0
    a_document: float = 10.0
    full: float = 0.7
    node_gb: float = 64.0
    node_vcpus: float = 8.0
    stored_a_second: float = 1000.0
    embed_cores: float = 32.0
    vcpu_hour: float = 0.04
    gb_hour: float = 0.005
    disk_gb_month: float = 0.1


def grown(passages: int, column: int) -> float:
    """A measured column at another size: on the line through the two largest in a double logarithm, so that the
    figures that were measured there come out as they were."""
    small, large = sorted(MEASURED)[-2:]
    a, b = MEASURED[small][column], MEASURED[large][column]
    power = math.log(b / a) / math.log(large / small)
    return b * float((passages / large) ** power)


def folder(wanted: Wanted) -> Iterator[Line]:
    """One folder on one machine."""
    small, large = sorted(MEASURED)[-2:]
    disk = MEASURED[large][0] / large
    snapshot = MEASURED[large][1] / large
    kept = [MEASURED[n][2] - MEASURED[n][1] for n in (small, large)]
    rest = (kept[1] - kept[0]) / (large - small)
    base = kept[0] - rest * small
    n, tried = wanted.passages, "measured" if wanted.passages <= large else "reckoned"
    yield Line("disk", n * disk / 1e3, "GB", f"{1e6 * disk:,.0f} bytes a passage", tried)
    memory = (base + (snapshot + rest) * n) / 1e3
    yield Line("memory", memory, "GB", f"{base:.0f} MB + {1e6 * (snapshot + rest):.0f} bytes a passage", tried)
    yield Line("p95 of a search, after embedding", grown(n, 3), "ms", "52 ms at 1 M, times 2.0 for ten times", tried)


def milvus(wanted: Wanted) -> Iterator[Line]:
    """A cluster of Milvus: what its query nodes must hold, and what lies on disks."""
    n, replicas = wanted.passages, wanted.replicas
    vectors, sparse = KINDS[wanted.kind], 8.0 * TERMS
    yield Line(
        f"vectors, {wanted.kind}, in memory", n * vectors / GB, "GB", f"{vectors:.0f} bytes a passage", "assumed"
    )
    yield Line("BM25, in memory", n * sparse / GB, "GB", f"{TERMS} words x 8 bytes a passage", "reckoned")
    local = sum(ROW.values())
    yield Line("fields, memory-mapped, on each replica's disk", n * local / GB, "GB", f"{local} bytes", "reckoned")
    stored = local + TEXT + sparse + vectors
    yield Line("object storage", 1.3 * n * stored / GB, "GB", f"1.3 x {stored:,.0f} bytes: log, index", "reckoned")
    memory = replicas * n * (vectors + sparse) / GB
    nodes = max(replicas, math.ceil(memory / (wanted.full * wanted.node_gb)))
    formula = f"{memory:.0f} GB in {replicas} replicas, of {wanted.node_gb:.0f} GB each {wanted.full:.0%}"
    yield Line("query nodes", nodes, "", formula, "reckoned")
    per_node = n / max(1.0, nodes / replicas)
    formula = f"a folder of {per_node / 1e6:.1f} M passages, with one core to a search"
    yield Line(
        "p95 of a search, if a node were as fast as a folder", grown(int(per_node), 3), "ms", formula, "reckoned"
    )
    documents = n / wanted.a_document
    formula = f"{documents / 1e6:.1f} M documents x {DOCUMENT:,} bytes"
    yield Line("list of documents, in each `rag serve`", documents * DOCUMENT / GB, "GB", formula, "reckoned")


def work(wanted: Wanted) -> Iterator[Line]:
    """Bringing it all in, once."""
    cpu = wanted.passages / EMBEDDED / 3600
    yield Line("read, split, embed", cpu, "core hours", f"{EMBEDDED:.0f} passages a second of CPU", "measured")
    yield Line("the same by the clock", cpu / wanted.embed_cores, "h", f"{wanted.embed_cores:.0f} cores", "reckoned")
    formula = f"{wanted.stored_a_second:.0f} passages a second, one process"
    yield Line("store", wanted.passages / wanted.stored_a_second / 3600, "h", formula, "assumed")


def cost(wanted: Wanted) -> Iterator[Line]:
    """A month of the cluster, and the work once."""
    have = {line.what: line.value for line in milvus(wanted)}
    nodes = have["query nodes"]
    node = HOURS * (wanted.node_vcpus * wanted.vcpu_hour + wanted.node_gb * wanted.gb_hour)
    yield Line("query nodes, a month", nodes * node, "", f"{nodes:.0f} x {node:,.0f}", "reckoned")
    # coordinator, proxy, data node, log: 3 x 4 vCPUs and 16 GB; rag serve: cores for the questions, and its list
    others = HOURS * 3 * (4 * wanted.vcpu_hour + 16 * wanted.gb_hour)
    yield Line("the rest of Milvus, a month", others, "", "3 x (4 vCPUs, 16 GB)", "assumed")
    cores = max(2.0, 2 * math.ceil(wanted.a_second * ANSWER_S))
    memory = 2 * (1.5 + have["list of documents, in each `rag serve`"])
    doors = HOURS * (cores * wanted.vcpu_hour + memory * wanted.gb_hour)
    formula = f"{cores:.0f} vCPUs, {memory:.0f} GB for {wanted.a_second:g} answers a second"
    yield Line("rag serve, two or more, a month", doors, "", formula, "reckoned")
    local = wanted.replicas * have["fields, memory-mapped, on each replica's disk"]
    disks = (local + have["object storage"]) * wanted.disk_gb_month
    formula = f"{local + have['object storage']:,.0f} GB x {wanted.disk_gb_month}"
    yield Line("disks, a month", disks, "", formula, "reckoned")
    yield Line("all of it, a month", nodes * node + others + doors + disks, "", "the sum", "reckoned")
    hours = next(work(wanted)).value
    yield Line("embedding, once", hours * wanted.vcpu_hour, "", f"{hours:,.0f} core hours", "reckoned")


ANSWER_S = 0.33
"""Seconds of a whole answer, warm, p50, on two cores: `make bench`."""


def table(wanted: Wanted) -> str:
    """All of it."""
    parts = (
        ("one folder on one machine", folder(wanted)),
        ("a cluster of Milvus", milvus(wanted)),
        ("bringing it in", work(wanted)),
        (f"money, at {wanted.vcpu_hour} a vCPU hour, {wanted.gb_hour} a GB hour of memory", cost(wanted)),
    )
    lines = [f"{wanted.passages:,} passages of {DIM} numbers"]
    for title, some in parts:
        lines.append(f"\n{title}")
        for line in some:
            digits = 0 if line.value >= 100 or line.value == int(line.value) else 1
            value = f"{line.value:,.{digits}f} {line.unit}"
            lines.append(f"  {line.what:<52}{value:>18}  {line.whence:<9} {line.formula}")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, required=True)
    parser.add_argument("--kind", choices=sorted(KINDS), default="HNSW_SQ", help="of the vectors' index")
    parser.add_argument("--replicas", type=int, default=2, help="of every passage, on different nodes")
    parser.add_argument("--questions-a-second", type=float, default=5.0, dest="a_second")
    parser.add_argument("--passages-a-document", type=float, default=10.0, dest="a_document")
    parser.add_argument("--full", type=float, default=0.7, help="share of a node's memory that may be used")
    parser.add_argument("--node-gb", type=float, default=64.0)
    parser.add_argument("--node-vcpus", type=float, default=8.0)
    parser.add_argument("--stored-a-second", type=float, default=1000.0, help="by the one process that commits")
    parser.add_argument("--embed-cores", type=float, default=32.0)
    parser.add_argument("--vcpu-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gb-hour", type=float, default=0.005, help="price, of memory")
    parser.add_argument("--disk-gb-month", type=float, default=0.1, help="price")
    print(table(Wanted(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
