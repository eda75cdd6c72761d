"""The reader's network: a small BERT (MiniLM-L6) with three heads, and the one loss they share.

    `[CLS] question [SEP] passage [SEP]`  ->  per token: start, end, evidence;  per pair: span bias, relevance

Every head is normalised in the same way: one softmax over all candidates of all passages of a question (spans,
sentences, passages) and one null whose score is fixed at 0. So scores are log-odds against "nothing here answers" and
may be compared across passages and calls (Clark & Gardner 2018 showed why per-passage softmaxes may not).
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

LAYERS, HIDDEN, HEADS, INNER, VOCAB, POSITIONS = 6, 384, 12, 1536, 30522, 512
LONGEST = 30  # tokens of a short answer
NOTHING = -1e4  # the score of what may not be chosen; finite, so that logsumexp has a gradient


class Layer(nn.Module):
    """One transformer layer, attention written out: on CPUs with bfloat16 it is faster than the fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)
        self.norm1 = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.up = nn.Linear(HIDDEN, INNER)
        self.down = nn.Linear(INNER, HIDDEN)
        self.norm2 = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        pairs, tokens = x.shape[0], x.shape[1]
        qkv = self.qkv(x).view(pairs, tokens, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
        weights = (qkv[0] @ qkv[1].transpose(-1, -2)) * (1 / math.sqrt(HIDDEN // HEADS)) + bias
        mixed = (weights.softmax(-1).to(qkv.dtype) @ qkv[2]).transpose(1, 2).reshape(pairs, tokens, HIDDEN)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Reader(nn.Module):
    """ids, types, mask (pairs, tokens) -> tokens (pairs, tokens, 3): start, end, evidence; pair (pairs, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCAB, HIDDEN)
        self.positions = nn.Embedding(POSITIONS, HIDDEN)
        self.types = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.token_head = nn.Linear(HIDDEN, 3)
        self.pair_head = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))

    def embed(self, ids: Tensor) -> Tensor:
        """Word vectors; the export overrides this with an int8 table."""
        return self.words(ids)

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embed(ids) + self.positions.weight[: ids.shape[1]] + self.types(types)
        x = self.norm(x.to(self.norm.weight.dtype))
        bias = ((1.0 - mask.to(x.dtype)) * NOTHING)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        x = x.to(self.token_head.weight.dtype)
        return self.token_head(x), self.pair_head(x[:, 0])


def half(model: Reader, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The model with its layers in bfloat16, gradients going to the float32 weights: faster than autocast, which casts
    back and forth at every normalisation. Word vectors and heads stay in float32, and so does everything on a processor
    that has no bfloat16: torch's emulation of it is ten times slower there."""
    if not (model.words.weight.is_cuda or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        held: tuple[Tensor, Tensor] = model(*inputs)
        return held
    names = {name: weight for name, weight in model.named_parameters() if "head" not in name and "words" not in name}
    return functional_call(model, {name: weight.bfloat16() for name, weight in names.items()}, inputs)


def load_minilm(model: Reader, path: Path) -> None:
    """Fill the encoder from a safetensors file in BERT's naming. The heads keep their random start."""
    from safetensors.torch import load_file

    raw = {k.removeprefix("bert."): v.float() for k, v in load_file(path).items()}
    names = {"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    state = {f"{ours}.weight": raw[f"embeddings.{theirs}.weight"] for ours, theirs in names.items()}
    state |= {f"norm.{p}": raw[f"embeddings.LayerNorm.{p}"] for p in ("weight", "bias")}
    parts = {"out": "attention.output.dense", "norm1": "attention.output.LayerNorm", "up": "intermediate.dense",
             "down": "output.dense", "norm2": "output.LayerNorm"}  # fmt: skip
    for n in range(LAYERS):
        for p in ("weight", "bias"):
            stem = f"encoder.layer.{n}"
            state[f"layers.{n}.qkv.{p}"] = torch.cat(
                [raw[f"{stem}.attention.self.{x}.{p}"] for x in ("query", "key", "value")]
            )
            state |= {f"layers.{n}.{ours}.{p}": raw[f"{stem}.{theirs}.{p}"] for ours, theirs in parts.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any("head" not in name for name in missing):
        raise ValueError(f"not a MiniLM-L6: missing {missing}, unexpected {unexpected}")


def load_shipped(model: Reader, path: Path) -> None:
    """Fill everything but the word vectors from a shipped reader.onnx: export.py backwards, int8 steps apart.

    Training can go on from it where no checkpoint is at hand (the shipped file is in the repository, a checkpoint is
    eight times its size). Word vectors are not trained: load_minilm has the exact ones, and the last positions too.
    """
    import onnx
    from onnx import numpy_helper

    stored = {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy()).float() for i in onnx.load(path).graph.initializer
    }

    def matrix(name: str) -> Tensor:
        """The int8 part of a product, as (out, in)."""
        whole = stored[f"{name}.int8"] * stored[f"{name}.scale"]
        return (whole * stored.get(f"{name}.inverse", torch.ones(len(whole)))[:, None]).T

    state = {n: w.T if n.endswith("weight") else w for n, w in stored.items() if n.startswith(("token_", "pair_"))}
    state["types.weight"] = stored["types.weight"]
    state["positions.weight"] = torch.cat([stored["positions"], model.positions.weight[len(stored["positions"]) :]])
    state |= {f"norm.{p}": stored[f"embeddings.LayerNorm.{p}"] for p in ("weight", "bias")}
    for n in range(LAYERS):
        at, ours = f"encoder.layer.{n}", f"layers.{n}"
        out, wide, narrow = f"{at}.attention.output", f"{at}.intermediate.dense", f"{at}.output"
        state |= {f"{ours}.qkv.weight": matrix(f"{at}.qkv"), f"{ours}.qkv.bias": stored[f"{at}.qkv.bias"]}
        state |= {f"{ours}.out.weight": matrix(f"{out}.dense"), f"{ours}.out.bias": stored[f"{out}.dense.bias"]}
        # The loudest channels of the middle come first here: any order will do, as long as both sides have the same.
        state[f"{ours}.up.weight"] = torch.cat([stored[f"{wide}.loud"].T, matrix(wide)])
        state[f"{ours}.up.bias"] = torch.cat([stored[f"{wide}.much.bias"], stored[f"{wide}.rest.bias"]])
        state[f"{ours}.down.weight"] = torch.cat([stored[f"{narrow}.dense.loud"].T, matrix(f"{narrow}.dense")], 1)
        state[f"{ours}.down.bias"] = stored[f"{narrow}.dense.bias"]
        for p in ("weight", "bias"):
            state[f"{ours}.norm1.{p}"] = stored[f"{out}.LayerNorm.{p}"]
            state[f"{ours}.norm2.{p}"] = stored[f"{narrow}.LayerNorm.{p}"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or missing != ["words.weight"]:
        raise ValueError(f"{path} is no shipped reader: missing {missing}, unexpected {unexpected}")


def span_scores(tokens: Tensor, pair: Tensor, inside: Tensor) -> Tensor:
    """Scores of all spans, (pairs, tokens, LONGEST): [p, i, d] is the span from token i to i + d of pair p.

    `inside` (pairs, tokens) is 1 on passage tokens; spans that leave the passage score NOTHING.
    """
    start, end = tokens[..., 0].float(), tokens[..., 1].float()
    allowed = F.pad(inside.float(), (0, LONGEST - 1)).unfold(1, LONGEST, 1) * inside.float()[:, :, None]
    ends = F.pad(end, (0, LONGEST - 1)).unfold(1, LONGEST, 1)
    scores = start[:, :, None] + ends + pair[:, 0].float()[:, None, None]
    return torch.where(allowed > 0, scores, torch.full_like(scores, NOTHING))


def sentence_scores(tokens: Tensor, owner: Tensor, count: int) -> Tensor:
    """Mean evidence logit of each sentence, (pairs, count). `owner` names each token's sentence, -1 for none."""
    slots = torch.where(owner < 0, torch.full_like(owner, count), owner)
    shape = (owner.shape[0], count + 1)
    total = torch.zeros(shape, device=tokens.device).scatter_add(1, slots, tokens[..., 2].float())
    size = torch.zeros(shape, device=tokens.device).scatter_add(1, slots, torch.ones_like(slots, dtype=torch.float))
    means = total / size.clamp(min=1)
    return torch.where(size > 0, means, torch.full_like(means, NOTHING))[:, :count]


def group_nll(every: Tensor, gold: Tensor, groups: Tensor) -> Tensor:
    """-log(gold mass) per group of pairs, (groups,). `every`, `gold`: logsumexp per pair of all and of gold candidates.

    `groups` (groups, most) lists pair numbers, -1 for padding. A group without gold must choose the null, score 0.
    """
    padding = groups < 0
    every = every[groups.clamp(min=0)].masked_fill(padding, NOTHING)
    gold = gold[groups.clamp(min=0)].masked_fill(padding, NOTHING)
    null = torch.zeros_like(every[:, :1])
    total = torch.cat([every, null], 1).logsumexp(1)
    right = gold.logsumexp(1)
    answerable = right > NOTHING / 2
    return total - torch.where(answerable, right, torch.zeros_like(right))
