"""Turn a trained reader into the file that is shipped: ONNX, int8 weights, one hash.

    python models/trained/reader/export.py runs/main [FOLDER]

Word vectors become int8 with one scale per row (nearly lossless: they were never trained here, and every row keeps its
own range). Linear layers become int8 per output channel, after a few outsized inputs were made smaller; see `quantise`.
`reader.json` gets
the hash and the facts of the run; calibration and scores are added by `evaluate.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import Batch, collate, mix
from model import LONGEST, Reader
from torch import Tensor, nn
from train import options

SHARE = 0.5  # of the inputs' range that moves to the weights
HERE = Path(__file__).parent


class Smooth(nn.Module):
    """A linear layer that gives the weights a share of its inputs' range: x W = (x / s) (s W).

    A few inputs are far larger than the others and would leave these two or three of int8's steps (SmoothQuant, Xiao et
    al., 2023). `largest` is the largest magnitude of each input on real text.
    """

    def __init__(self, linear: nn.Linear, largest: Tensor) -> None:
        super().__init__()
        weights = linear.weight.detach().abs().amax(0).clamp(min=1e-5)
        share = (largest.clamp(min=1e-5) ** SHARE / weights ** (1 - SHARE)).clamp(min=1e-3)
        self.register_buffer("inverse", 1 / share)
        linear.weight.data *= share
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x * self.inverse)


def smooth(model: Reader, batches: Sequence[Batch]) -> None:
    """Put every linear layer whose inputs will be int8 behind a Smooth, fitted on these batches."""
    kept = ("head", "down")
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and not any(k in n for k in kept)}
    largest: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen = inputs[0].detach().abs().flatten(0, -2).amax(0)
            largest[name] = torch.maximum(largest.get(name, seen), seen)

        return note

    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in layers.items()]
    with torch.no_grad():
        for batch in batches:
            model(batch.ids, batch.types, batch.mask)
    for hook in hooks:
        hook.remove()
    for name, module in layers.items():
        above, _, last = name.rpartition(".")
        setattr(model.get_submodule(above), last, Smooth(module, largest[name]))


class Shipped(Reader):
    """The reader with its word vectors as int8 rows and a scale per row."""

    rows: Tensor
    scale: Tensor

    def compress(self) -> None:
        weight = self.words.weight.detach()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("rows", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        del self.words

    def embed(self, ids: Tensor) -> Tensor:
        return torch.nn.functional.embedding(ids, self.rows).float() * torch.nn.functional.embedding(ids, self.scale)


def write_float(weights: Path, target: Path, batches: Sequence[Batch]) -> None:
    """The network as fp32 ONNX, but for the word vectors, ready to be quantised."""
    model = Shipped()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    model.compress()
    smooth(model, batches)
    ids = torch.ones(2, 16, dtype=torch.int64)
    names = ["ids", "types", "mask"]
    axes = {name: {0: "pairs", 1: "tokens"} for name in [*names, "tokens"]} | {"pair": {0: "pairs"}}
    torch.onnx.export(
        model,
        (ids, torch.zeros_like(ids), torch.ones_like(ids)),
        str(target),
        input_names=names,
        output_names=["tokens", "pair"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )


def quantise(source: Path, target: Path) -> None:
    """Linear layers to int8 per channel. The heads, a ten-thousandth of the work, stay as they are; the layers that
    lead down from the wide middle get int8 weights too, but multiply in fp32: their inputs do not fit int8."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = [n.name for n in onnx.load(source).graph.node if n.op_type in ("MatMul", "Gemm")]
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[n for n in names if "head" in n or "/down/" in n],
        extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True},
    )
    model = onnx.load(target)
    for node in [n for n in model.graph.node if n.op_type == "MatMul" and "/down/" in n.name]:
        store_small(model.graph, node)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def store_small(graph: Any, node: Any) -> None:
    """Keep the weights of one MatMul as int8 and a scale per column; the runtime unfolds them once, when it loads."""
    from onnx import TensorProto, helper, numpy_helper

    stored = next(i for i in graph.initializer if i.name == node.input[1])
    weight = numpy_helper.to_array(stored)
    scale = (np.abs(weight).max(0, keepdims=True) / 127).astype(np.float32)
    name = stored.name
    graph.initializer.remove(stored)
    graph.initializer.append(numpy_helper.from_array(np.round(weight / scale).astype(np.int8), f"{name}_int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    at = list(graph.node).index(node)
    graph.node.insert(at, helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]))
    graph.node.insert(at, helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT))


def describe(folder: Path, facts: dict[str, object]) -> int:
    """Write the card's facts of reader.onnx beside it; its size in bytes."""
    raw = (folder / "reader.onnx").read_bytes()
    card = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "longest_answer": LONGEST, "training": facts}
    (folder / "reader.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    return len(raw)


def main(run: Path, target: Path) -> None:
    """Write the fp32 form under the run, to compare with, and the shipped one into `target`."""
    facts = json.loads((run / "run.json").read_text("utf-8"))
    (run / "fp32").mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    given = options([])
    some = [collate([group]) for group in mix(given.data, given.tokenizer, seed=11, most=150)]
    write_float(run / "model.pt", run / "fp32" / "reader.onnx", some)
    quantise(run / "fp32" / "reader.onnx", target / "reader.onnx")
    print(f"fp32 {describe(run / 'fp32', facts) / 1e6:.1f} MB, int8 {describe(target, facts) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(HERE / sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
