"""A trained LoRA as the GGUF adapter that llama.cpp loads over the shipped file: `export.py sentence TARGET.gguf`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFWriter
from torch import Tensor
from train import ALPHA, HERE

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}  # fmt: skip
HEAD = 64  # dimensions of one attention head


def export(weights: dict[str, Tensor], target: Path) -> None:
    """Every layer's two matrices, in 16 bits."""
    writer = GGUFWriter(target, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for name, weight in weights.items():
        _, _, layer, *parts, which = name.split(".")  # model.layers.7.mlp.up_proj.down
        part = ".".join(parts)
        values = weight.detach()
        if which == "up" and part.endswith(("q_proj", "k_proj")):  # llama.cpp pairs neighbours where torch pairs halves
            values = values.reshape(-1, 2, HEAD // 2, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)
        tensor = f"blk.{layer}.{NAMES[part]}.weight.lora_{'a' if which == 'down' else 'b'}"
        writer.add_tensor(tensor, np.ascontiguousarray(values.numpy().astype(np.float16)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    state = torch.load(HERE / "runs" / sys.argv[1] / "checkpoint.pt", weights_only=True)
    export(state["weights"], Path(sys.argv[2]))
