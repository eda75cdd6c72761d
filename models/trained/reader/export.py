"""Turn a trained reader into the file that is shipped: ONNX, int8 weights, one hash.

    python models/trained/reader/export.py runs/main [FOLDER]

Word vectors become int8 with one scale per row (nearly lossless: they were never trained here, and every row keeps its
own range). Linear layers become int8 per output channel, their inputs are quantised as they come. `reader.json` gets
the hash and the facts of the run; calibration and scores are added by `evaluate.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from model import LONGEST, Reader
from torch import Tensor

HERE = Path(__file__).parent


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


def write_float(weights: Path, target: Path) -> None:
    """The network as fp32 ONNX, but for the word vectors."""
    model = Shipped()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.compress()
    model.eval()
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
    """Linear layers to int8 per channel; the heads, a ten-thousandth of the work, stay as they are."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    heads = [n.name for n in onnx.load(source).graph.node if "head" in n.name]
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=heads,
        extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True},
    )


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
    write_float(run / "model.pt", run / "fp32" / "reader.onnx")
    quantise(run / "fp32" / "reader.onnx", target / "reader.onnx")
    print(f"fp32 {describe(run / 'fp32', facts) / 1e6:.1f} MB, int8 {describe(target, facts) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(HERE / sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
