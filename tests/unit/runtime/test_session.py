"""Sessions of a bundle's graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosplitc.runtime.bundle import Bundle, session_of
from autosplitc.runtime.errors import LinkError


def test_a_graph_that_onnxruntime_refuses_says_what_may_help(picture_bundle: Path, tmp_path: Path) -> None:
    graph = tmp_path / "edge.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(LinkError) as caught:
        session_of(graph, Bundle.load(picture_bundle).manifest["runtime"])
    assert (caught.value.code, caught.value.where) == ("AS806", str(graph))
    assert "--max-opset" in caught.value.hint
