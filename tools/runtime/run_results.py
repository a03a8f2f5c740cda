"""What a run writes for each frame: a line on stdout, a line of JSON, the outputs for an .npz."""

from __future__ import annotations

import json
import sys
import zipfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .client import Answer
from .errors import LinkError

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from .run import RunSettings
    from .samples import Frame


class Results:
    """Writes results as they come; used as a context. Raises LinkError (AS801) where a file cannot be written."""

    def __init__(self, settings: RunSettings) -> None:
        """Begin with nothing open."""
        self._settings = settings
        self._stack = ExitStack()
        self._jsonl: IO[str] | None = None
        self._names: list[str] = []
        self._outputs: list[dict[str, NDArray[Any]]] = []

    def __enter__(self) -> Results:
        """Open the files."""
        try:
            if self._settings.jsonl is not None:
                self._jsonl = self._stack.enter_context(self._settings.jsonl.open("w", encoding="utf-8"))
            if self._settings.output is not None:
                self._settings.output.open("wb").close()
        except OSError as error:
            raise LinkError("AS801", f"results cannot be written: {error.strerror or error}", str(error.filename)) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the files; what is known is written however the run ended."""
        self._stack.close()
        if self._settings.output is not None:
            self._write_outputs()

    def add(self, frame: Frame, answer: Answer | LinkError) -> None:
        """Write a frame's result."""
        if self._jsonl is not None:
            self._jsonl.write(f"{json.dumps(_record(frame, answer))}\n")
            self._jsonl.flush()
        if not self._settings.quiet and not self._settings.json:
            sys.stdout.write(f"{_line(frame, answer)}\n")
            sys.stdout.flush()
        if self._settings.output is not None and isinstance(answer, Answer):
            self._names.append(frame.name)
            self._outputs.append(answer.outputs)

    def _write_outputs(self) -> None:
        """Write the outputs [frames, ...] of all frames that have an answer, their names beside them.

        Frames whose outputs have different shapes have an array each, `output/number`.
        """
        arrays: dict[str, NDArray[Any]] = {"frames": np.array(self._names)}
        for name in self._outputs[0] if self._outputs else ():
            rows = [outputs[name] for outputs in self._outputs]
            if len({row.shape for row in rows}) == 1:
                arrays[name] = np.concatenate(rows) if rows[0].ndim and len(rows[0]) == 1 else np.stack(rows)
            else:
                arrays.update({f"{name}/{i}": row for i, row in enumerate(rows)})
        assert self._settings.output is not None
        with zipfile.ZipFile(self._settings.output, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)


def top1(outputs: dict[str, NDArray[Any]]) -> int | None:
    """Return the class of a classifier's only output, [classes] or [1, classes]; None for other outputs."""
    values = list(outputs.values())
    if len(values) != 1 or values[0].size < 2 or values[0].size != values[0].shape[-1] or not np.issubdtype(values[0].dtype, np.floating):
        return None
    return int(values[0].reshape(-1).argmax())


def _record(frame: Frame, answer: Answer | LinkError) -> dict[str, Any]:
    if isinstance(answer, LinkError):
        return {"frame": frame.name, "error": {"code": answer.code, "message": answer.message}}
    times = {name: getattr(answer, name) for name in ("edge_s", "wait_s", "wire_s", "cloud_s", "total_s")}
    found: dict[str, Any] = {"frame": frame.name, "source": answer.source, **times, "sent_bytes": answer.sent_bytes}
    if answer.trouble is not None:
        found["trouble"] = answer.trouble.code
    label = top1(answer.outputs)
    if label is not None:
        found["label"] = label
    return {**found, "shapes": {name: list(value.shape) for name, value in answer.outputs.items()}}


def _line(frame: Frame, answer: Answer | LinkError) -> str:
    if isinstance(answer, LinkError):
        return f"{frame.name}  error[{answer.code}]: {answer.message}"
    label = top1(answer.outputs)
    shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape)) or 'scalar'}" for name, value in answer.outputs.items())
    parts = f"edge {answer.edge_s * 1e3:.2f}"
    if answer.source == "cloud":
        parts += f" + wait {answer.wait_s * 1e3:.2f} + wire {answer.wire_s * 1e3:.2f} + cloud {answer.cloud_s * 1e3:.2f}"
    if answer.trouble is not None:
        parts += f"; fallback: {answer.trouble.code}"
    return f"{frame.name}  {shapes if label is None else f'label {label}'}  {answer.total_s * 1e3:.2f} ms ({parts})"
