"""The legacy checkpoint stream: what is read, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import CompileError
from autosplitc.zoo.mobilenet_v2 import convert
from autosplitc.zoo.torch_stream import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
NO_HOOKS: OrderedDict[str, object] = OrderedDict()


class FloatStorage:
    """Stands for torch's class of the same name while a stream is written."""


@dataclass(frozen=True)
class Storage:
    key: str
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_tensor_v2, (self.storage, self.offset, self.shape, self.strides, False, NO_HOOKS)


class CallOnLoad:
    """A pickle of it asks for a folder to be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def _rebuild_tensor_v2(*parts: object) -> object:
    raise AssertionError(f"a reader must not call it: {parts}")


class Writer(pickle.Pickler):
    def persistent_id(self, obj: object, /) -> object:
        if isinstance(obj, Storage):
            return ("storage", FloatStorage, obj.key, "cpu", obj.values.size, None)
        return None


@pytest.fixture(autouse=True)
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pickles name torch's globals without torch."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    monkeypatch.setattr(FloatStorage, "__module__", "torch")
    monkeypatch.setattr(_rebuild_tensor_v2, "__module__", "torch._utils")
    torch.__dict__.update(FloatStorage=FloatStorage, _utils=utils)
    utils.__dict__.update(_rebuild_tensor_v2=_rebuild_tensor_v2)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def stream(state: object, storages: tuple[Storage, ...] = ()) -> bytes:
    written = io.BytesIO()
    for item in (MAGIC, 1001, {"little_endian": True}, state, [storage.key for storage in storages]):
        Writer(written, protocol=2).dump(item)
    for storage in storages:
        written.write(storage.values.size.to_bytes(8, "little") + storage.values.tobytes())
    return written.getvalue()


STORAGE = Storage("1", np.arange(6, dtype=np.float32))
STATE: OrderedDict[str, object] = OrderedDict(
    [("whole", Tensor(STORAGE, 0, (2, 3), (3, 1))), ("turned", Tensor(STORAGE, 1, (2, 2), (1, 3))), ("count", 3)]
)


def refusal(content: bytes) -> str:
    with pytest.raises(CompileError) as caught:
        read_state_dict(content, "sample.pth")
    assert caught.value.diagnostics[0].code == "AS684"
    assert caught.value.diagnostics[0].location == "sample.pth"
    return caught.value.diagnostics[0].notes[0]


def test_tensors_are_read_with_offset_and_strides() -> None:
    tensors = read_state_dict(stream(STATE, (STORAGE,)), "sample.pth")
    assert list(tensors) == ["whole", "turned"]
    np.testing.assert_array_equal(tensors["whole"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["turned"], [[1, 4], [2, 5]])


def test_a_foreign_global_is_refused_and_not_called(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    content = stream(OrderedDict({"weight": CallOnLoad(folder)}))
    assert refusal(content) == f"it names {os.mkdir.__module__}.mkdir, which no tensor needs"
    assert not folder.exists()


def test_a_truncated_stream_is_refused() -> None:
    assert refusal(stream(STATE, (STORAGE,))[:-1]) == "it ends within a storage"
    assert refusal(b"")


def test_another_pickle_is_refused() -> None:
    assert refusal(pickle.dumps({"weight": 1})) == "it is not in torch's legacy stream form"


@pytest.mark.parametrize("tensor", [Tensor(STORAGE, 4, (3,), (1,)), Tensor(STORAGE, -1, (1,), (1,)), Tensor(STORAGE, 5, (2,), (-1,))])
def test_a_tensor_outside_its_storage_is_refused(tensor: Tensor) -> None:
    assert refusal(stream(OrderedDict({"weight": tensor}), (STORAGE,))) == "a tensor reaches outside its storage"


def test_a_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(CompileError) as caught:
        convert(stream(OrderedDict({"fc.weight": Tensor(STORAGE, 0, (6,), (1,))}), (STORAGE,)), {})
    assert caught.value.diagnostics[0].notes == ("missing parameter 'features.0.0.weight'",)
