"""Planning problems of any size, the same for the same seed: chains of layers, and residual nets of blocks with a shortcut.

A layer has weights, an activation quantiser, and times as an array of 100 G MAC/s at 8 bits with 1 GB/s of memory has them; the cloud is 50
times as quick. Sizes fall and channels grow from layer to layer as in nets for pictures; errors fall by 6 dB a bit, with some noise.
"""

from __future__ import annotations

import random
from typing import Literal, TypeAlias

from autosplitc.passes import Group, Limits, Link, Operand, OpItem, Problem, Value, Weight

Shape: TypeAlias = Literal["chain", "residual"]

BITS = (2, 4, 6, 8)
_ROWS = (*range(1, 9), 32)


def synthetic(ops: int, shape: Shape, seed: int = 0, ram_bytes: int = 8_000_000) -> Problem:
    """Return a problem of so many ops. In a residual net every third op adds what its block began with."""
    r = random.Random(seed)
    values = [Value("x", 150_528, 32, group=0, is_input=True, raw=True, wire_bits=(8,))]
    groups = [Group("x", (8,), (0,) * 8)]
    weights: list[Weight] = []
    items: list[OpItem] = []
    block = 0
    for i in range(ops):
        elements = max(int(400_000 * 0.002 ** ((i + 1) / ops) * r.uniform(0.8, 1.25)), 10)
        last = i == ops - 1
        joins = shape == "residual" and i % 3 == 2
        elements = (values[-1].elements or 0) if joins else elements
        inputs = [Operand(len(values) - 1)]
        compute_ns = 0
        if joins:
            inputs.append(Operand(block))
        else:
            count = max(int(2_000 * 500 ** (i / ops) * r.uniform(0.5, 2.0)), 100)
            weights.append(Weight(f"w{i}", count, BITS, _errors(r), 32 * 64, (2, 2, 4, 4, 8, 8, 8, 8)))
            inputs.append(Operand(weight=len(weights) - 1))
            compute_ns = int(count * elements / max(64 * 500 ** (i / ops), 1) / 100)
        read = [values[o.value].elements or 0 if o.value >= 0 else weights[o.weight].elements for o in inputs]
        groups.append(Group(f"v{i}", BITS, _errors(r)))
        values.append(_value(i, elements, r, last=last))
        items.append(
            OpItem(
                name=f"op{i}",
                inputs=tuple(inputs),
                results=(Operand(len(values) - 1),),
                on_codes=True,
                mac=(0, 1),
                compute_ns=((compute_ns,) * 9,) * 9,
                traffic_ns=tuple(tuple(n * b // 8 for b in _ROWS) for n in (*read, elements)),
                cloud_ns=compute_ns // 50,
            )
        )
        block = len(values) - 1 if i % 3 == 2 or shape == "chain" or not i else block
    limits = Limits(8 * ram_bytes)
    return Problem(tuple(values), tuple(groups), tuple(weights), (), tuple(items), Link(3_000_000, 0), limits, overlap=False, packed=True)


def _value(index: int, elements: int, r: random.Random, *, last: bool) -> Value:
    own = _errors(r)
    held = [tuple(max(own[w] - own[a], 0) for w in range(8)) for a in range(8)]
    return Value(f"v{index}", elements, 32, group=index + 1, is_output=last, wire_bits=BITS, wire_error=(*held, own))


def _errors(r: random.Random) -> tuple[int, ...]:
    top = 10 ** r.uniform(6.5, 8.5)
    return tuple(int(top * 4.0**-b * r.uniform(0.9, 1.1)) + 1 for b in range(8))
