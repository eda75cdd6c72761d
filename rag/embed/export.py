"""A BERT-type sentence encoder's weights in, one ONNX graph out: tokens to unit vectors.

Built node by node from the safetensors file, so that making it needs neither torch nor six seconds of its import, and
the same weights always give the same bytes. ONNX Runtime's fused operators (attention, layer norm with its residual,
bias with GELU) are used directly rather than left to be found by its optimiser.
Model: Devlin et al., NAACL 2019; mean pooling: Reimers and Gurevych, EMNLP 2019.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError

FUSED = "com.microsoft"
Weights = Mapping[str, NDArray[np.float32]]


def export(folder: Path, *, exact: bool = False) -> bytes:
    """The ONNX model of the sentence-transformers folder `folder` (BERT; mean of the tokens or the first one;
    normalised), in int8 (`int8.py`) or, if `exact`, in fp32.

    Inputs `ids` and `mask`, int64 (texts, tokens); output `vectors`, float32 (texts, dim), rows of length 1.
    Raises ModelError if the folder holds another architecture.
    """
    from safetensors.numpy import load_file

    if not exportable(folder):
        raise ModelError(f"{folder} holds no BERT that can be exported", "sentence-transformers runs it")
    config = _settings(folder, "config.json")
    weights, epsilon = load_file(folder / "model.safetensors"), float(config["layer_norm_eps"])
    plain = Graph(weights, epsilon)
    plain.first_token = _pooling(folder) == "cls"
    model = plain.whole(config)
    if exact:
        return model
    from rag.embed.int8 import Int8Graph, random_tokens, ranges_of

    tokens = random_tokens(len(weights["embeddings.word_embeddings.weight"]))
    small = Int8Graph(weights, epsilon, ranges_of(model, plain.inputs, tokens))
    small.first_token = plain.first_token
    return small.whole(config)


def exportable(folder: Path) -> bool:
    """True if `export` knows what is in the folder: BERT, one way of pooling, and behind that the length alone."""
    config = _settings(folder, "config.json")
    modules = _settings(folder, "modules.json")
    kinds = [m.get("type", "").rsplit(".", 1)[-1] for m in modules] if isinstance(modules, list) else []
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and (folder / "model.safetensors").is_file()
        and (folder / "tokenizer.json").is_file()
        and set(kinds) <= {"Transformer", "Pooling", "Normalize"}
        and _pooling(folder) in ("mean", "cls")
    )


def _pooling(folder: Path) -> str:
    """'mean', 'cls', or another one that is not made here. Older files have a flag for each, newer ones a word."""
    told = _settings(folder, "1_Pooling/config.json")
    flags = {
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token"): on for key, on in told.items()
    }
    wanted = [name for name, on in flags.items() if on is True and name in ("mean", "cls", "max", "mean_sqrt_len")]
    return str(told.get("pooling_mode", "+".join(wanted) if told else "mean"))


def _settings(folder: Path, name: str) -> Any:
    path = folder / name
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


class Graph:
    """The nodes so far. Each method adds a few and returns the name of their output."""

    def __init__(self, weights: Weights, epsilon: float) -> None:
        self.weights, self.epsilon = weights, epsilon
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.first_token = False  # is the text's vector, not the mean of all
        self.inputs: dict[str, str] = {}  # of each weight: the value that it is multiplied with

    def whole(self, config: Mapping[str, Any]) -> bytes:
        """The model from tokens to vectors."""
        hidden = self.embeddings()
        for layer in range(int(config["num_hidden_layers"])):
            hidden = self.layer(hidden, f"encoder.layer.{layer}.", int(config["num_attention_heads"]))
        self.pool(hidden)
        return self.to_bytes(int(config["hidden_size"]))

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        return self.add_all(op, inputs, (output,), domain, **attributes)[0]

    def add_all(
        self, op: str, inputs: list[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> Sequence[str]:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs

    def weight(self, name: str, *, transposed: bool = False) -> str:
        array = self.weights[name]
        self.constants[name] = np.ascontiguousarray(array.T if transposed else array)
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def dense(self, x: str, prefix: str, name: str) -> str:
        """x @ W.T; the bias is left to the fused operator that follows."""
        self.inputs[prefix + name] = x
        return self.add("MatMul", [x, self.weight(prefix + name + ".weight", transposed=True)], prefix + name)

    def skip_norm(self, x: str, residual: str, norm: str, bias: str, output: str) -> str:
        inputs = [x, residual, self.weight(norm + ".weight"), self.weight(norm + ".bias"), self.weight(bias)]
        return self.add("SkipLayerNormalization", inputs, output, FUSED, epsilon=self.epsilon)

    def embeddings(self) -> str:
        """Word + position + segment 0, normalised. The segment's row joins the positions: it is the same for all."""
        positions = (
            self.weights["embeddings.position_embeddings.weight"]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.add("Add", [self.words(), self.places(positions)], "placed")
        return self.normed("placed")

    def words(self) -> str:
        """The vectors of the tokens."""
        return self.add("Gather", [self.weight("embeddings.word_embeddings.weight"), "ids"], "words")

    def places(self, positions: NDArray[np.float32]) -> str:
        """As many of the positions' vectors as there are tokens."""
        self.add("Shape", ["ids"], "width", start=1, end=2)
        zero = self.constant("zero", np.zeros(1, np.int64))
        return self.add("Slice", [self.constant("positions", positions), zero, "width", zero], "places")

    def normed(self, x: str) -> str:
        norm = [self.weight("embeddings.LayerNorm.weight"), self.weight("embeddings.LayerNorm.bias")]
        return self.add("LayerNormalization", [x, *norm], "embedded", axis=-1, epsilon=self.epsilon)

    def qkv(self, at: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Query, key and value in one: weights (hidden, 3 hidden) and bias."""
        names = [at + "attention.self." + part for part in ("query", "key", "value")]
        packed = np.concatenate([self.weights[n + ".weight"].T for n in names], axis=1)
        return np.ascontiguousarray(packed), np.concatenate([self.weights[n + ".bias"] for n in names])

    def layer(self, x: str, at: str, heads: int) -> str:
        """One transformer layer: attention and feed-forward, each with its residual and layer norm."""
        packed, bias = self.qkv(at)
        self.inputs[at + "qkv"] = x
        inputs = [x, self.constant(at + "qkv", packed), self.constant(at + "qkv.bias", bias), "mask32"]
        seen = self.add("Attention", inputs, at + "attended", FUSED, num_heads=heads)
        out = at + "attention.output."
        y = self.skip_norm(self.dense(seen, out, "dense"), x, out + "LayerNorm", out + "dense.bias", out + "normed")
        wide = self.dense(y, at + "intermediate.", "dense")
        wide = self.add("BiasGelu", [wide, self.weight(at + "intermediate.dense.bias")], at + "gelu", FUSED)
        narrow = self.dense(wide, at + "output.", "dense")
        return self.skip_norm(narrow, y, at + "output.LayerNorm", at + "output.dense.bias", at + "output.normed")

    def pool(self, hidden: str) -> None:
        """Mean over the real tokens, or the first one, then length 1. (It makes dividing by their number needless.)"""
        if self.first_token:
            first = self.constant("first", np.array(0, np.int64))
            self.add("Gather", [hidden, first], "pooled", axis=1)
            self.add("LpNormalization", ["pooled"], "vectors", axis=-1, p=2)
            return
        self.add("Unsqueeze", ["maskf", self.constant("two", np.array([2], np.int64))], "weights3")
        self.add("Mul", [hidden, "weights3"], "kept")
        self.add("ReduceSum", ["kept", self.constant("one", np.array([1], np.int64))], "summed", keepdims=0)
        self.add("LpNormalization", ["summed"], "vectors", axis=-1, p=2)

    def ends(self, dim: int) -> tuple[list[Any], list[Any]]:
        """What goes in and what comes out, with the shapes."""
        from onnx import TensorProto, helper

        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["texts", "tokens"]) for n in ("ids", "mask")]
        return inputs, [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", dim])]

    def to_bytes(self, dim: int) -> bytes:
        from onnx import TensorProto, checker, helper, numpy_helper

        casts = [
            helper.make_node("Cast", ["mask"], ["mask32"], to=TensorProto.INT32),
            helper.make_node("Cast", ["mask"], ["maskf"], to=TensorProto.FLOAT),
        ]
        inputs, outputs = self.ends(dim)
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph([*casts, *self.nodes], "encoder", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="rag")
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
