"""How fast and how large, on this machine, in one run; where a peer exists, as a ratio.

    python -m rag.evals.bench [--json FILE] [--data ../shared/data/reading/squad1-train.jsonl.gz]

Whole processes are timed from outside, several times, and the median is printed. Absolute seconds are those of this
machine while it did nothing else; ratios travel better.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import rag
from rag.evals import pace
from rag.evals.scoring import percentile
from rag.evals.seeds import ROOT, questions
from rag.types import Quoted

if TYPE_CHECKING:
    from rag.embed import Embedder

_EMBEDDED = 320
_QUESTION = "How many cherry trees will Japan give?"
_FIRST_QUOTE = """
import sys, rag
assistant = rag.open(sys.argv[1])
for event in assistant.stream(sys.argv[2]):
    if isinstance(event, rag.Quoted):
        assert all(assistant.holds(c) for c in event.citations)
        break
import os; os._exit(0)
"""
_SERVER = """
import sys, rag
from rag.chat import build
with rag.open(sys.argv[1]) as assistant:
    page = build(assistant)
    assert any([assistant.ask(question).trace.draft for question in sys.argv[2:]])
    print("answered", flush=True)
    sys.stdin.read()
"""

_LLAMA_CPP = """
import json, sys, time, llama_cpp
threads = int(sys.argv[2])
model = llama_cpp.Llama(sys.argv[1], n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
for line in sys.stdin:
    pieces = [model.tokenize(text.encode(), add_bos=False, special=control) for text, control in json.loads(line)]
    start = time.perf_counter()
    answer = model.generate(sum(pieces, []), temp=0.0, repeat_penalty=1.0)
    next(answer)
    print(time.perf_counter() - start, flush=True)
    answer.close()
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--data", type=Path, help="a reading file: its contexts are the 10,000 passages asked about")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        rag.open(index, documents=ROOT / "seeds", llm_model="none").close()
        for name, measure in (
            ("import rag, s", _import),
            ("process start to first verified quote, cold, s", lambda: _cold(index)),
            ("warm", lambda: _warm(index)),
            ("chat server, peak memory, MB", lambda: _memory(index)),
            ("passages embedded a second", _embedding),
            ("first token, same beginning in the cache", _first_token),
        ):
            figures[name] = measure()
            _show(name, figures[name])
        if args.data is None or not args.data.is_file():
            print(f"10,000 passages: skipped, {'no --data' if args.data is None else f'{args.data} is not there'}")
        else:
            figures["reader, 128 tokens"] = pace.pairs(args.data)
            figures["10,000 passages"] = pace.answers(args.data, Path(folder) / "scale")
            _show("reader, 128 tokens", figures["reader, 128 tokens"])
            _show("10,000 passages", figures["10,000 passages"])
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def _show(name: str, figure: Any) -> None:
    if isinstance(figure, dict):
        for part, value in figure.items():
            print(f"{name + ': ' + part:<62} {value:>9.3f}", flush=True)
    else:
        print(f"{name:<62} {figure:>9.3f}", flush=True)


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _process(*args: str) -> float:
    return _timed(lambda: subprocess.run([sys.executable, *args], check=True, cwd=ROOT, stdout=subprocess.DEVNULL))


def _import() -> float:
    """What `import rag` adds to a bare interpreter."""
    pairs = [(_process("-c", "import rag"), _process("-c", "pass")) for _ in range(7)]
    return median(a - b for a, b in pairs)


def _cold(index: Path) -> float:
    return median(_process("-c", _FIRST_QUOTE, str(index), _QUESTION) for _ in range(5))


def _warm(index: Path) -> dict[str, float]:
    """Seconds to the first quote and to the whole answer, over the answerable seed questions."""
    some = [q.text for q in questions() if q.kind == "answerable"]
    first, whole = [], []
    with rag.open(index) as assistant:
        for n, question in enumerate([*some[:3], *some]):
            start = time.perf_counter()
            quoted = 0.0
            for event in assistant.stream(question):
                if isinstance(event, Quoted):
                    quoted = time.perf_counter() - start
            if n >= 3:  # the first three only warm up
                whole.append(time.perf_counter() - start)
                first += [quoted] if quoted else []
    return {
        "first quote, p50 s": percentile(first, 0.5),
        "first quote, p95 s": percentile(first, 0.95),
        "whole answer, p50 s": percentile(whole, 0.5),
        "whole answer, p95 s": percentile(whole, 0.95),
    }


def _memory(index: Path) -> float:
    """Peak resident memory of the chat server and its LLM worker together, after five answers."""
    some = [q.text for q in questions() if q.kind == "answerable"][:5]
    command = [sys.executable, "-c", _SERVER, str(index), *some]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        if server.stdout.readline() != "answered\n":
            raise SystemExit("the chat server did not answer")
        peak = sum(_peak(pid) for pid in _family(server.pid)) / 1e3
        server.stdin.close()  # lets it end
    return peak


def _family(pid: int) -> list[int]:
    """The process and all that it started."""
    children = [c for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    return [pid, *(p for c in children for p in _family(int(c)))]


def _peak(pid: int) -> float:
    """Peak resident kilobytes of a process."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return float(found.group(1)) if found else 0.0


def _embedding() -> dict[str, float]:
    """The default runtime beside plain sentence-transformers: same model, same texts, in turn."""
    from rag.embed.onnx import OnnxEmbedder
    from rag.embed.sentence import SentenceEmbedder
    from rag.models import Models

    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    folder = models.verified(entry)
    fast = OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint)
    reference = SentenceEmbedder(entry.name, folder, entry.fingerprint)
    texts = _texts(fast)
    pairs = [(_timed(lambda: fast.passages(texts)), _timed(lambda: reference.passages(texts))) for _ in range(5)]
    return {
        "rag": len(texts) / median(a for a, _ in pairs),
        "sentence-transformers": len(texts) / median(b for _, b in pairs),
        "ratio": median(b / a for a, b in pairs),
    }


def _first_token() -> dict[str, float]:
    """Seconds to the first token of the usual prompt, through the worker, beside llama.cpp called directly: each keeps
    the beginning of the prompt in its cache by its own rules."""
    from rag.llm.llama import LlamaLLM, physical_cores
    from rag.llm.templates import template
    from rag.models import Models
    from rag.prompt import sentence

    models, threads = Models(), physical_cores()
    entry = models.entry("smollm2-135m-instruct", "llm")
    path = models.verified(entry) / next(iter(entry.files))
    some = [q.text for q in questions() if q.kind == "answerable"][:16]
    with rag.open(documents=ROOT / "seeds", llm_model="none") as assistant:
        prompts = [p for q in some if (p := sentence(q, assistant.ask(q).evidence))]
    ours, theirs = [], []
    command = [sys.executable, "-c", _LLAMA_CPP, str(path), str(threads)]
    calm = os.environ | {"GOMP_SPINCOUNT": "1000"}  # as in our worker
    with (
        LlamaLLM(path, entry.template, threads=threads) as llm,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=calm) as peer,
    ):
        assert peer.stdin is not None and peer.stdout is not None
        for prompt in prompts:
            draft = llm.stream(prompt, 8)
            ours.append(_timed(lambda draft=draft: next(draft)))  # type: ignore[misc]
            draft.close()
            print(json.dumps(template(entry.template).pieces(prompt)), file=peer.stdin, flush=True)
            theirs.append(float(peer.stdout.readline()))
        peer.stdin.close()
    ours, theirs = ours[2:], theirs[2:]  # the first fill the cache
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    return {"rag, p50 s": median(ours), "llama.cpp, p50 s": median(theirs), "ratio": ratio}


def _texts(embedder: Embedder) -> list[str]:
    """Passages of real prose, no two alike, on every machine: what Python's own `help()` has to say of its topics."""
    from pydoc_data.topics import topics

    from rag.config import Config
    from rag.split import split
    from rag.types import Document, Source

    most = Config().split.max_tokens
    documents = (Document(Source.at(f"help:{name}", name), text) for name, text in sorted(topics.items()))
    passages = [p.text for document in documents for p in split(document, embedder.lengths, most)]
    return list(dict.fromkeys(passages))[::2][:_EMBEDDED]


if __name__ == "__main__":
    main()
