"""Which op of a model each of onnxruntime's kernels works for, and how long it took: from the model that onnxruntime wrote, and its log.

Runs on devices: Python 3.8, and the standard library alone.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CONTROL = ("If", "Loop", "Scan")
"""Ops with sub-graphs; the log holds the kernels in those too."""
EVENT = "_kernel_time"
"""What the log adds to a node's name."""
_RENAMED = re.compile(r"(_nchwc|_nhwc)?(_token_\d+)?$")
"""What onnxruntime adds to the name of a node that it moves to another layout."""


class Node(NamedTuple):
    """A node of an ONNX file; what its sub-graphs read counts among its inputs."""

    name: str
    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]


def read_nodes(path: Path) -> list[Node]:
    """Return the nodes of an ONNX file; the file is mapped, and its weights are not looked at. Raises OSError, IndexError."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return [node for field, graph in _fields(data) if field == 7 for node in _nodes(graph)]


def _nodes(graph: memoryview) -> list[Node]:
    """Return the nodes of a GraphProto. Field numbers are those of onnx.proto."""
    found: list[Node] = []
    for part in [list(_fields(value)) for field, value in _fields(graph) if field == 1]:
        words = {number: [str(value, "utf-8") for field, value in part if field == number] for number in (1, 2, 3, 4)}
        graphs = [inner for field, attribute in part if field == 5 for number, inner in _fields(attribute) if number in (6, 11)]
        captured = [name for inner in graphs for node in _nodes(inner) for name in node.inputs]
        found.append(Node("".join(words[3]), "".join(words[4]), words[1] + captured, words[2]))
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of every length-delimited field of a protobuf message; all others are skipped."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 2:
            size, at = _varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        else:
            at = _varint(data, at)[1] if key & 7 == 0 else at + (8 if key & 7 == 1 else 4)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it."""
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def makers(nodes: Sequence[Node], values: Mapping[str, str], names: Mapping[str, str]) -> dict[int, str]:
    """Return the op of each node that makes one of its values, by the node's index.

    values: op by value that it makes; names: op by name of a node before onnxruntime rewrote the model.
    """
    found: dict[int, str] = {}
    for index, node in enumerate(nodes):
        plain = _RENAMED.sub("", node.name)
        known = [values[name] for name in node.outputs if name in values]
        known += [names[name] for name in (node.name, plain) if name in names]
        known += [values[plain]] if plain != node.name and plain in values else []
        if known:
            found[index] = known[0]
    return found


def owners(nodes: Sequence[Node], made: Mapping[int, str]) -> list[str]:
    """Return the op that each node works for ("" for none), from the ops of those that make values of an op.

    Any other works for the nearest op downstream, the first in order among equals; where there is none, for the nearest upstream. Nodes
    are in topological order.
    """
    found = dict(made)
    _spread(found, [(n.outputs, n.inputs) for n in nodes], range(len(nodes) - 1, -1, -1))
    _spread(found, [(n.inputs, n.outputs) for n in nodes], range(len(nodes)))
    return [found.get(index, "") for index in range(len(nodes))]


def _spread(found: dict[int, str], sides: Sequence[tuple[Sequence[str], Sequence[str]]], order: Iterable[int]) -> None:
    """Give nodes without an op the nearest one's on the side where they come from; `sides` are the values there, and on the other side."""
    near: dict[str, tuple[int, int, str]] = {}
    for index in order:
        ahead, behind = sides[index]
        steps = [near[name] for name in ahead if name in near]
        if index in found:
            steps = [(0, index, found[index])]
        if not steps:
            continue
        distance, first, op = min(steps)
        found[index] = op
        for name in behind:
            if name:
                step = (distance + 1, first, op)
                near[name] = min(near.get(name, step), step)


def runs_of(events: Iterable[Mapping[str, Any]], nodes: Sequence[Node]) -> list[list[int]]:
    """Return the microseconds of every node in every run, from onnxruntime's log; kernels in sub-graphs count in their node's.

    Raises LookupError for a kernel that none of the nodes has.
    """
    runs: list[list[Mapping[str, Any]]] = [[]]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(EVENT):
            runs[-1].append(event)
        elif event.get("name") == "model_run":
            runs.append([])
    return [_durations(run, nodes) for run in runs[:-1]]


def _durations(events: Sequence[Mapping[str, Any]], nodes: Sequence[Node]) -> list[int]:
    """Return the microseconds of every node in one run. Kernels go by type and name; those of nodes without a name by type, in order."""
    free: dict[tuple[str, str], list[int]] = {}
    for index, node in enumerate(nodes):
        free.setdefault((node.op_type, node.name), []).append(index)
    outer = [event for event in events if event["args"]["op_name"] in CONTROL]
    found = [0] * len(nodes)
    for event in events:
        if any(_inside(event, other) for other in outer):
            continue
        kind, name = event["args"]["op_name"], event["name"][: -len(EVENT)]
        places = free.get((kind, name)) or free.get((kind, ""))
        if not places:
            raise LookupError(f"onnxruntime ran kernel {name} ({kind}), which is not in the model that it wrote")
        found[places.pop(0)] += event["dur"]
    return found


def _inside(event: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return event is not other and other["ts"] <= event["ts"] and event["ts"] + event["dur"] <= other["ts"] + other["dur"]
