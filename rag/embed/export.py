"""A BERT-type sentence encoder's weights in, one ONNX graph out: tokens to unit vectors.

Built node by node from the safetensors file, so that making it needs neither torch nor six seconds of its import, and
the same weights always give the same bytes. ONNX Runtime's fused operators (attention, layer norm with its residual,
bias with GELU) are used directly rather than left to be found by its optimiser.
Model: Devlin et al., NAACL 2019; mean pooling: Reimers and Gurevych, EMNLP 2019.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError

_FUSED = "com.microsoft"
Weights = Mapping[str, NDArray[np.float32]]


def export(folder: Path) -> bytes:
    """The ONNX model of the sentence-transformers folder `folder` (BERT, mean pooling, normalised).

    Inputs `ids` and `mask`, int64 (texts, tokens); output `vectors`, float32 (texts, dim), rows of length 1.
    Raises ModelError if the folder holds another architecture.
    """
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text("utf-8"))
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise ModelError(
            f"{folder} is a {config.get('model_type')!r} model; only BERT can be exported", "use --runtime torch"
        )
    graph = _Graph(load_file(folder / "model.safetensors"), float(config["layer_norm_eps"]))
    hidden = graph.embeddings()
    for layer in range(int(config["num_hidden_layers"])):
        hidden = graph.layer(hidden, f"encoder.layer.{layer}.", int(config["num_attention_heads"]))
    graph.pool(hidden)
    return graph.to_bytes(int(config["hidden_size"]))


class _Graph:
    """The nodes so far. Each method adds a few and returns the name of their output."""

    def __init__(self, weights: Weights, epsilon: float) -> None:
        self.weights, self.epsilon = weights, epsilon
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def weight(self, name: str, *, transposed: bool = False) -> str:
        array = self.weights[name]
        self.constants[name] = np.ascontiguousarray(array.T if transposed else array)
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def dense(self, x: str, prefix: str, name: str) -> str:
        """x @ W.T; the bias is left to the fused operator that follows."""
        return self.add("MatMul", [x, self.weight(prefix + name + ".weight", transposed=True)], prefix + name)

    def skip_norm(self, x: str, residual: str, norm: str, bias: str, output: str) -> str:
        inputs = [x, residual, self.weight(norm + ".weight"), self.weight(norm + ".bias"), self.weight(bias)]
        return self.add("SkipLayerNormalization", inputs, output, _FUSED, epsilon=self.epsilon)

    def embeddings(self) -> str:
        """Word + position + segment 0, normalised. The segment's row joins the positions: it is the same for all."""
        positions = (
            self.weights["embeddings.position_embeddings.weight"]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.add("Gather", [self.weight("embeddings.word_embeddings.weight"), "ids"], "words")
        self.add("Shape", ["ids"], "tokens", start=1, end=2)
        self.add(
            "Slice",
            [self.constant("positions", positions), self.constant("zero", np.zeros(1, np.int64)), "tokens", "zero"],
            "places",
        )
        self.add("Add", ["words", "places"], "placed")
        norm = [self.weight("embeddings.LayerNorm.weight"), self.weight("embeddings.LayerNorm.bias")]
        return self.add("LayerNormalization", ["placed", *norm], "embedded", axis=-1, epsilon=self.epsilon)

    def layer(self, x: str, at: str, heads: int) -> str:
        """One transformer layer: attention and feed-forward, each with its residual and layer norm."""
        names = [at + "attention.self." + part for part in ("query", "key", "value")]
        packed = np.concatenate([self.weights[n + ".weight"].T for n in names], axis=1)
        bias = np.concatenate([self.weights[n + ".bias"] for n in names])
        inputs = [
            x,
            self.constant(at + "qkv", np.ascontiguousarray(packed)),
            self.constant(at + "qkv.bias", bias),
            "mask32",
        ]
        seen = self.add("Attention", inputs, at + "attended", _FUSED, num_heads=heads)
        out = at + "attention.output."
        y = self.skip_norm(self.dense(seen, out, "dense"), x, out + "LayerNorm", out + "dense.bias", out + "normed")
        wide = self.dense(y, at + "intermediate.", "dense")
        wide = self.add("BiasGelu", [wide, self.weight(at + "intermediate.dense.bias")], at + "gelu", _FUSED)
        narrow = self.dense(wide, at + "output.", "dense")
        return self.skip_norm(narrow, y, at + "output.LayerNorm", at + "output.dense.bias", at + "output.normed")

    def pool(self, hidden: str) -> None:
        """Mean over the real tokens, then length 1. (The length makes dividing by their number needless.)"""
        self.add("Unsqueeze", ["maskf", self.constant("two", np.array([2], np.int64))], "weights3")
        self.add("Mul", [hidden, "weights3"], "kept")
        self.add("ReduceSum", ["kept", self.constant("one", np.array([1], np.int64))], "summed", keepdims=0)
        self.add("LpNormalization", ["summed"], "vectors", axis=-1, p=2)

    def to_bytes(self, dim: int) -> bytes:
        from onnx import TensorProto, checker, helper, numpy_helper

        casts = [
            helper.make_node("Cast", ["mask"], ["mask32"], to=TensorProto.INT32),
            helper.make_node("Cast", ["mask"], ["maskf"], to=TensorProto.FLOAT),
        ]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["texts", "tokens"]) for n in ("ids", "mask")]
        outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", dim])]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph([*casts, *self.nodes], "sentence-encoder", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="rag")
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
