"""An ONNX file in, a session of ONNX Runtime out that says the same on every CPU.

The networks here multiply unsigned bytes by signed ones. Most CPUs add such products exactly; x86 ones without VNNI add
each pair of them in 16 bits, which overflows in silence (the embedder's cosines fell from 0.997 to 0.992 there). On
those, the weights are turned into unsigned bytes around 128 when the file is opened: the very same numbers, for which
the runtime's sums are exact everywhere, at half the speed. Whether a CPU is such a one is not looked up but tried.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import numpy as np

_PROBE = base64.b64decode(
    b"CAg6fgokCgRzb21lCgZvdGhlcnMSBXRvdGFsIg1NYXRNdWxJbnRlZ2VyEgVwcm9iZVoYCgRzb21lEhAKDggCEgoKAxIBYQoDEgFi"
    b"WhoKBm90aGVycxIQCg4IAxIKCgMSAWIKAxIBY2IZCgV0b3RhbBIQCg4IBhIKCgMSAWEKAxIBY0IECgAQEQ=="
)
"""A model of one node, `total` = MatMulInteger(`some` unsigned bytes (a, b), `others` signed bytes (b, c))."""
_SIGNED = {"MatMulIntegerToFloat": (1, 5), "QAttention": (1, 7)}
"""Where an operator has its weights, and where their zero."""


def session(model: bytes) -> Any:
    """An `onnxruntime.InferenceSession` of the model on one thread: callers run texts side by side instead, and
    nobody waits at a barrier."""
    return _opened(unsigned(model) if overflows() else model)


@cache
def overflows() -> bool:
    """True if this CPU loses something of a sum of signed by unsigned bytes."""
    some, others = np.full((4, 64), 255, np.uint8), np.full((64, 16), 127, np.int8)
    (total,) = _opened(_PROBE).run(None, {"some": some, "others": others})
    return bool((total != 64 * 255 * 127).any())


def unsigned(model: bytes) -> bytes:
    """The same model with the signed weights of its products as unsigned ones."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model)
    constants = {constant.name: constant for constant in graph.graph.initializer}
    for node in graph.graph.node:
        for place in _SIGNED.get(node.op_type, ()):
            constant = constants[node.input[place]]
            signed = numpy_helper.to_array(constant)
            if signed.dtype == np.int8:
                moved = (signed.astype(np.int16) + 128).astype(np.uint8)
                constant.CopyFrom(numpy_helper.from_array(moved, constant.name))
    return bytes(graph.SerializeToString(deterministic=True))


def _opened(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
