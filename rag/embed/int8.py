"""The same graph in int8: about twice as fast, with the vectors of the float one but for a cosine of 0.999.

Plain dynamic int8 loses too much here (top-10 overlap 0.876). Three things mend it, all from the weights alone:
- A few inputs of each layer are far larger than the others; the weights take a share of their range (SmoothQuant, Xiao
  et al., 2023). How large they get is seen on random tokens: it is a property of the weights, not of the text.
- The middle of each feed-forward layer has the worst of them, after a nonlinearity. Its 64 loudest channels are
  computed in fp32 beside the others (as LLM.int8(), Dettmers et al., 2022, but chosen once), so nothing is sorted at
  run time.
- Texts go through one at a time, so that what a text's numbers are scaled by does not depend on its neighbours.
That the sums of products are exact on every CPU is seen to where the file is opened (rag/runtime.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from rag.embed.export import FUSED, Graph

LEVELS = 127  # of a weight, either side of 0
LOUD = 64  # channels of the wide middle that stay fp32
_SHARE = 0.5  # of the inputs' range that moves to the weights

Floats = NDArray[np.float32]
Ranges = Mapping[str, Floats]
"""By layer and place, the largest magnitude of each input."""


def random_tokens(words: int) -> list[dict[str, NDArray[np.int64]]]:
    """A dozen texts of 122 random tokens each, always the same: what an embedder can be looked at with."""
    rng = np.random.default_rng(0)
    some = [rng.integers(words // 30, words, (1, 122)) for _ in range(12)]
    return [{"ids": ids, "mask": np.ones_like(ids)} for ids in some]


def ranges_of(
    model: bytes, probes: Mapping[str, str], texts: Iterable[Mapping[str, NDArray[np.int64]]]
) -> dict[str, Floats]:
    """The largest magnitude of each of these inner values (name to its output) of a float graph on these inputs."""
    import onnx
    import onnxruntime

    graph = onnx.load_from_string(model)
    for inner in dict.fromkeys(probes.values()):
        graph.graph.output.append(onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = list(probes)
    largest: dict[str, Floats] = {}
    for text in texts:
        seen = session.run([probes[n] for n in names], dict(text))
        for name, values in zip(names, seen, strict=True):
            top = np.abs(values).reshape(-1, values.shape[-1]).max(0)
            largest[name] = np.maximum(largest.get(name, np.float32(0)), top)
    return largest


class Int8Graph(Graph):
    """`Graph` with its layers' products in int8."""

    def __init__(self, weights: Mapping[str, Floats], epsilon: float, ranges: Ranges) -> None:
        super().__init__(weights, epsilon)
        self._ranges = ranges

    def words(self) -> str:
        """The vectors of the tokens, kept as int8 rows with a scale each: a quarter of the largest table."""
        table = self.weights["embeddings.word_embeddings.weight"]
        scale = (np.abs(table).max(1, keepdims=True).clip(1e-8) / 127).astype(np.float32)
        rows = self.constant("words.int8", np.round(table / scale).astype(np.int8))
        self.add("Gather", [rows, "ids"], "words.rows")
        self.add("Gather", [self.constant("words.scale", scale), "ids"], "words.scales")
        self.add("Cast", ["words.rows"], "words.float", to=1)
        return self.add("Mul", ["words.float", "words.scales"], "words")

    def layer(self, x: str, at: str, heads: int) -> str:
        """One transformer layer."""
        packed, bias = self.qkv(at)
        weight, scale, zero, steps = self._small(x, at + "qkv", packed)
        inputs = [steps[0], weight, self.constant(at + "qkv.bias", bias), steps[1], scale, "mask32", steps[2], zero]
        seen = self.add("QAttention", inputs, at + "attended", FUSED, num_heads=heads)
        out = at + "attention.output."
        mixed = self._product(seen, out + "dense", self._matrix(out + "dense"))
        y = self.skip_norm(mixed, x, out + "LayerNorm", out + "dense.bias", out + "normed")
        return self.skip_norm(
            self._feed_forward(y, at), y, at + "output.LayerNorm", at + "output.dense.bias", at + "output.normed"
        )

    def _feed_forward(self, y: str, at: str) -> str:
        """Up, GELU, down: the loudest channels in fp32, the others in int8, added up."""
        wide, narrow = at + "intermediate.dense", at + "output.dense"
        up, bias, down = self._matrix(wide), self.weights[wide + ".bias"], self._matrix(narrow)
        order = np.argsort(-self._ranges[narrow], kind="stable")
        loud, quiet = np.sort(order[:LOUD]), np.sort(order[LOUD:])
        much = self.add("MatMul", [y, self.constant(wide + ".loud", np.ascontiguousarray(up[:, loud]))], wide + ".much")
        much = self.add("BiasGelu", [much, self.constant(wide + ".much.bias", bias[loud])], at + "much", FUSED)
        rest = self._product(y, wide, up[:, quiet])
        rest = self.add("BiasGelu", [rest, self.constant(wide + ".rest.bias", bias[quiet])], at + "rest", FUSED)
        much = self.add("MatMul", [much, self.constant(narrow + ".loud", down[loud])], narrow + ".much")
        rest = self._product(rest, narrow, down[quiet], smooth=False)
        return self.add("Add", [much, rest], at + "narrow")

    def _matrix(self, name: str) -> Floats:
        return np.ascontiguousarray(self.weights[name + ".weight"].T)

    def _product(self, x: str, name: str, matrix: Floats, *, smooth: bool = True) -> str:
        """x @ matrix."""
        weight, scale, zero, (small, step, middle) = self._small(x, name, matrix, smooth=smooth)
        return self.add("MatMulIntegerToFloat", [small, weight, step, scale, middle, zero], name + ".product", FUSED)

    def _small(
        self, x: str, name: str, matrix: Floats, *, smooth: bool = True
    ) -> tuple[str, str, str, tuple[str, str, str]]:
        """Weights as int8 with a scale per column and a zero, and x as uint8 with its scale and zero."""
        if smooth:
            inputs, weights = self._ranges[name].clip(1e-5), np.abs(matrix).max(1).clip(1e-5)
            share = (inputs**_SHARE / weights ** (1 - _SHARE)).clip(1e-3).astype(np.float32)
            matrix = matrix * share[:, None]
            x = self.add("Mul", [x, self.constant(name + ".inverse", 1 / share)], name + ".smoothed")
        scale = (np.abs(matrix).max(0).clip(1e-8) / LEVELS).astype(np.float32)
        whole = np.round(matrix / scale).astype(np.int8)
        made = (name + ".small", name + ".step", name + ".middle")
        self.add_all("DynamicQuantizeLinear", [x], made)
        return (
            self.constant(name + ".int8", np.ascontiguousarray(whole)),
            self.constant(name + ".scale", scale),
            self.constant(name + ".zero", np.zeros(matrix.shape[1], np.int8)),
            made,
        )
