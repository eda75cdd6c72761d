"""The measurement of ingestion: every way gives the same index, and talk is what is left when nothing is worked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rag.evals.spread import row

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it reads /proc")


def test_a_row_says_how_fast_beside_the_plain_add_and_what_share_is_talk() -> None:
    plain = {"passages": 100.0, "seconds": 10.0, "seconds of CPU": 12.0}
    assert row("plain", plain, plain).split() == ["plain", "10", "1.00", "12.0"]
    many = plain | {"seconds": 4.0, "talk, share": 0.05, "at work": 0.8, "MB sent": 1.0, "MB received": 2.0}
    assert row("many", many, plain).split() == ["many", "25", "2.50", "12.0", *"80 % 5.0 % 1.0 + 2.0".split()]


def beir(folder: Path) -> Path:
    """A few texts, and a question about one of them."""
    texts = [
        {"_id": str(n), "title": f"Mill {n}", "text": f"Mill {n} was built in {1700 + n}. " * 9} for n in range(20)
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "When was mill 3 built?"}) + "\n")
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t3\t1\n")
    return folder


@pytest.mark.slow
def test_each_way_is_measured_and_gives_the_same_index(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rag[dask]'")
    command = [sys.executable, "-m", "rag.evals.spread", str(beir(tmp_path)), "--workers", "1", "--documents", "0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^(plain|--workers 1|--cluster, 1 workers) .* \d", said, re.M) == [
        "plain",
        "--workers 1",
        "--cluster, 1 workers",
    ]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", said)]
    assert len(shares) == 4 and all(0 < share < 100 for share in shares)
    assert "every index holds the same" in said
