"""Turn a trained reader into the file that is shipped: ONNX, int8 weights, one hash.

    python models/trained/reader/export.py runs/main [--beside runs/other/model.pt --share 0.25] [--into FOLDER]

With --beside, SHARE of every weight is the run's and the rest that of the file, which the run went on from: what a run
learns and what it forgets do not fade alike (Wortsman et al., Robust fine-tuning, CVPR 2022).

The graph is built node by node, as the embedder's (rag/embed/export.py, rag/embed/int8.py), with another beginning (two
segments) and another end (the heads, in fp32). How large the inputs of each layer get is seen on the training's own
examples. `reader.json` gets the hash and the facts of the run; `python -m rag.evals.calibrate FILE --write` adds the
calibration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import Batch, collate
from mix import mix
from model import HEADS, HIDDEN, LAYERS, LONGEST
from numpy.typing import NDArray
from torch import Tensor
from train import options

from rag.embed.export import Graph
from rag.embed.int8 import Int8Graph, ranges_of

HERE = Path(__file__).parent
POSITIONS = 320  # tokens: more than rag/read/trained.py ever puts into one window
CONFIG = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": HIDDEN}
PARTS = {"out": "attention.output.dense", "norm1": "attention.output.LayerNorm", "up": "intermediate.dense",
         "down": "output.dense", "norm2": "output.LayerNorm"}  # fmt: skip


class ReaderGraph(Graph):
    """`ids`, `types`, `mask` (pairs, tokens) to `tokens` (pairs, tokens, 3) and `pair` (pairs, 2): see model.py."""

    def embeddings(self) -> str:
        """Word + position + segment, normalised."""
        self.add("Add", [self.words(), self.places(self.weights["positions.weight"][:POSITIONS])], "placed")
        self.add("Gather", [self.weight("types.weight"), "types"], "segments")
        self.add("Add", ["placed", "segments"], "summed")
        return self.normed("summed")

    def pool(self, hidden: str) -> None:
        """The heads."""
        self.add("MatMul", [hidden, self.weight("token_head.weight", transposed=True)], "token_head")
        self.add("Add", ["token_head", self.weight("token_head.bias")], "tokens")
        self.add("Gather", [hidden, self.constant("first", np.array(0, np.int64))], "whole", axis=1)
        first = [self.weight("pair_head.0.weight", transposed=True), self.weight("pair_head.0.bias")]
        self.add("Tanh", [self.add("Gemm", ["whole", *first], "pair_head.0")], "pair_head.1")
        last = [self.weight("pair_head.2.weight", transposed=True), self.weight("pair_head.2.bias")]
        self.add("Gemm", ["pair_head.1", *last], "pair")

    def ends(self, dim: int) -> tuple[list[Any], list[Any]]:
        """What goes in and what comes out, with the shapes."""
        from onnx import TensorProto, helper

        shape = ["pairs", "tokens"]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("ids", "types", "mask")]
        outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [*shape, 3])]
        return inputs, [*outputs, helper.make_tensor_value_info("pair", TensorProto.FLOAT, ["pairs", 2])]


class Int8ReaderGraph(ReaderGraph, Int8Graph):
    """The same with the layers in int8."""


def named(state: dict[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """The trained weights under BERT's names, which the graph knows; the others keep theirs."""
    weights = {k: v.float().numpy() for k, v in state.items()}
    made = {k: v for k, v in weights.items() if not k.startswith(("layers.", "norm.", "words."))}
    made["embeddings.word_embeddings.weight"] = weights["words.weight"]
    made |= {f"embeddings.LayerNorm.{p}": weights[f"norm.{p}"] for p in ("weight", "bias")}
    for n in range(LAYERS):
        for p in ("weight", "bias"):
            three = np.split(weights[f"layers.{n}.qkv.{p}"], 3)
            for part, values in zip(("query", "key", "value"), three, strict=True):
                made[f"encoder.layer.{n}.attention.self.{part}.{p}"] = values
            made |= {f"encoder.layer.{n}.{t}.{p}": weights[f"layers.{n}.{o}.{p}"] for o, t in PARTS.items()}
    return made


def exported(state: dict[str, Tensor], examples: Sequence[Batch]) -> tuple[bytes, bytes]:
    """The fp32 form, to compare with, and the int8 form."""
    weights = named(state)
    plain = ReaderGraph(weights, 1e-12)
    exact = plain.whole(CONFIG)
    texts = [{"ids": b.ids.numpy(), "types": b.types.numpy(), "mask": b.mask.numpy()} for b in examples]
    return exact, Int8ReaderGraph(weights, 1e-12, ranges_of(exact, plain.inputs, texts)).whole(CONFIG)


def store(folder: Path, model: bytes, facts: dict[str, object]) -> None:
    """The model with its card."""
    folder.mkdir(exist_ok=True)
    (folder / "reader.onnx").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    card = {"sha256": digest, "bytes": len(model), "longest_answer": LONGEST, "training": facts}
    (folder / "reader.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")


def between(state: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """`share` of each weight from `state`, the rest from `other`."""
    return {name: other[name].lerp(weight, share) for name, weight in state.items()}


def main(run: Path, target: Path, data: Path, beside: Path | None = None, share: float = 1.0) -> None:
    """Write the fp32 form under the run and the shipped one into `target`."""
    facts = json.loads((run / "run.json").read_text("utf-8"))
    examples = [collate([group]) for group in mix(data, options([]).tokenizer, seed=11, most=2000)[:400]]
    state = torch.load(run / "model.pt", map_location="cpu", weights_only=True)
    if beside is not None:
        state = between(state, torch.load(beside, map_location="cpu", weights_only=True), share)
        facts |= {"share": share, "beside": hashlib.sha256(beside.read_bytes()).hexdigest()}
    exact, small = exported(state, examples)
    store(run / "fp32", exact, facts)
    store(target, small, facts)
    print(f"fp32 {len(exact) / 1e6:.1f} MB, int8 {len(small) / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="what train.py made, as runs/main")
    parser.add_argument("--into", type=Path, default=HERE, help="where reader.onnx and reader.json go")
    parser.add_argument("--data", type=Path, default=options([]).data, help="the data that it was trained on")
    parser.add_argument("--beside", type=Path, help="another model.pt, whose weights have the rest of the share")
    parser.add_argument("--share", type=float, default=1.0, help="of the run in each weight")
    given = parser.parse_args()
    beside = HERE / given.beside if given.beside is not None else None
    main(HERE / given.run, given.into, given.data, beside, given.share)
