"""The same numbers on every CPU, also on those whose sums of byte products overflow."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rag import runtime
from rag.models import Models


@pytest.fixture(scope="module")
def embedder() -> bytes:
    models = Models()
    return models.exported(models.entry("all-minilm-l6-v2", "embedder")).read_bytes()


def vectors(model: bytes) -> np.ndarray:
    ids = np.random.default_rng(0).integers(1000, 30_000, (1, 120))
    out = runtime.session(model).run(None, {"ids": ids, "mask": np.ones_like(ids)})[0]
    return np.asarray(out)


def test_unsigned_weights_give_the_very_numbers_of_signed_ones(
    embedder: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = vectors(embedder)  # on a CPU that overflows, from unsigned weights already
    monkeypatch.setattr(runtime, "overflows", lambda: True)
    assert np.array_equal(vectors(embedder), expected)


def test_no_product_is_left_that_could_overflow(embedder: bytes) -> None:
    signed, moved = (
        list(onnx.load_from_string(model).graph.initializer) for model in (embedder, runtime.unsigned(embedder))
    )
    products = [c.name for c in signed if c.data_type == TensorProto.INT8 and c.name != "words.int8"]
    assert len(products) == 2 * 4 * 6  # weights and zeros of four products in six layers
    assert {c.name for c in moved if c.data_type == TensorProto.UINT8} == set(products)


def test_what_is_tried_is_the_sum_that_would_overflow() -> None:
    """255 x 127 twice is 64,770; 16 signed bits end at 32,767. The bytes are those of a model made here."""

    def shaped(name: str, kind: int, *shape: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    node = helper.make_node("MatMulInteger", ["some", "others"], ["total"])
    inputs = [shaped("some", TensorProto.UINT8, "a", "b"), shaped("others", TensorProto.INT8, "b", "c")]
    graph = helper.make_graph([node], "probe", inputs, [shaped("total", TensorProto.INT32, "a", "c")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert made.SerializeToString(deterministic=True) == runtime._PROBE
    assert runtime.overflows() in (True, False)


def test_a_cpu_that_loses_something_of_a_sum_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saturating:
        def run(self, _: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            pairs = given["some"].astype(int)[:, :, None] * given["others"].astype(int)
            return [(pairs[:, ::2] + pairs[:, 1::2]).clip(-(2**15), 2**15 - 1).sum(1)]

    monkeypatch.setattr(runtime, "_opened", lambda model: Saturating())
    assert runtime.overflows.__wrapped__() is True
