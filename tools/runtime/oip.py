"""Messages of the Open Inference Protocol v2 over HTTP with the binary tensor extension, for both sides; nothing here touches a socket.

A body is a JSON object, and behind it the binary forms of the tensors that say `binary_data_size`, in their order; where there are any, the
header `Inference-Header-Content-Length` gives the length of the JSON. docs/oip.md tells what of the protocol is spoken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .oip_tensors import Tensor, from_binary, from_json, malformed, nbytes_of, read_shape, to_binary, to_json

if TYPE_CHECKING:
    from typing import TypeAlias

    from .oip_tensors import Buffer

LENGTH_HEADER = "Inference-Header-Content-Length"
BINARY, JSON_TYPE = "application/octet-stream", "application/json"
MAX_TENSORS = 1024
"""Most tensors in a message."""
MAX_HEADER_BYTES = 1 << 20
"""Most bytes of JSON in front of binary tensors."""

Headers: TypeAlias = "dict[str, str]"


@dataclass(frozen=True)
class Wanted:
    """An output that is asked for. binary: in the binary form."""

    name: str
    binary: bool


@dataclass(frozen=True)
class InferRequest:
    """A request. id: "" for none. outputs: those asked for, None for all, then in the binary form where `binary` says so."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...] | None
    binary: bool
    id: str
    parameters: Mapping[str, Any]

    def input(self, name: str) -> Tensor:
        """Return the only input, which must be called so. Raises LinkError (AS860)."""
        if [tensor.name for tensor in self.inputs] != [name]:
            found = ", ".join(tensor.name for tensor in self.inputs)
            raise malformed(f'the model has one input, "{name}", and the request gives {found or "none"}')
        return self.inputs[0]

    def wanted(self, names: Sequence[str]) -> list[Wanted]:
        """Return what is asked for of the outputs `names`. Raises LinkError (AS860) for one that the model has not."""
        if self.outputs is None:
            return [Wanted(name, self.binary) for name in names]
        unknown = [output.name for output in self.outputs if output.name not in names]
        if unknown:
            raise malformed(f'the model has no output "{unknown[0]}"', hint=f"it has {', '.join(names)}")
        return list(self.outputs)


@dataclass(frozen=True)
class InferResponse:
    """An answer: its outputs by name, and the id of the request."""

    outputs: Mapping[str, Tensor]
    id: str


def request_message(
    inputs: Sequence[Tensor],
    outputs: Sequence[str],
    request_id: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Headers, list[Buffer]]:
    """Return headers and body of a request: inputs in the binary form, and the outputs are asked for in it."""
    head: dict[str, Any] = {"id": request_id} if request_id else {}
    head["inputs"] = [_said(tensor, binary=True) for tensor in inputs]
    head["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head["parameters"] = {**(parameters or {}), "binary_data_output": True}
    return _message(head, inputs)


def response_message(model: str, version: str, request_id: str, outputs: Sequence[tuple[Tensor, bool]]) -> tuple[Headers, list[Buffer]]:
    """Return headers and body of an answer; with each output whether it goes in the binary form. Raises LinkError (AS860) where JSON cannot
    say an output.
    """
    head: dict[str, Any] = {"model_name": model, "model_version": version, **({"id": request_id} if request_id else {})}
    head["outputs"] = [_said(tensor, binary=binary) for tensor, binary in outputs]
    return _message(head, [tensor for tensor, binary in outputs if binary])


def error_message(message: str) -> tuple[Headers, list[Buffer]]:
    """Return headers and body that say an error."""
    body = json.dumps({"error": message}).encode()
    return {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}, [body]


def json_message(value: Mapping[str, Any]) -> tuple[Headers, list[Buffer]]:
    """Return headers and body of any other answer."""
    body = json.dumps(value).encode()
    return {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}, [body]


def read_request(body: Buffer, length_header: str | None) -> InferRequest:
    """Return a request. length_header: the value of `Inference-Header-Content-Length`. Raises LinkError (AS860)."""
    head, rest = _head_of(body, length_header)
    inputs = _tensors(head, "inputs", rest)
    parameters = _object(head, "parameters")
    binary = _flag(parameters, "binary_data_output", otherwise=False)
    return InferRequest(tuple(inputs), _wanted(head, binary), binary, _text(head, "id"), parameters)


def read_response(body: Buffer, length_header: str | None) -> InferResponse:
    """Return an answer. Raises LinkError (AS860)."""
    head, rest = _head_of(body, length_header)
    return InferResponse({tensor.name: tensor for tensor in _tensors(head, "outputs", rest)}, _text(head, "id"))


def read_error(body: Buffer) -> str:
    """Return what a server says of an error, in one line; what is no JSON is shown as it is."""
    text = bytes(body[:4096]).decode("utf-8", "replace")
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    said = cast("dict[str, object]", found).get("error") if isinstance(found, dict) else None
    return " ".join(str(said if said is not None else text).split())[:500]


def _message(head: Mapping[str, Any], binary: Sequence[Tensor]) -> tuple[Headers, list[Buffer]]:
    said = json.dumps(head, allow_nan=False).encode()
    parts: list[Buffer] = [said]
    for tensor in binary:
        parts.extend(to_binary(tensor))
    headers = {"Content-Type": BINARY if binary else JSON_TYPE, "Content-Length": str(sum(len(part) for part in parts))}
    return ({**headers, LENGTH_HEADER: str(len(said))} if binary else headers), parts


def _said(tensor: Tensor, *, binary: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
    parameters = dict(tensor.parameters)
    if binary:
        parameters["binary_data_size"] = nbytes_of(tensor)
    else:
        said["data"] = to_json(tensor)
    return {**said, **({"parameters": parameters} if parameters else {})}


def _head_of(body: Buffer, length_header: str | None) -> tuple[dict[str, object], memoryview]:
    """Return the JSON object of a body, and what is behind it."""
    view = memoryview(body)
    length = len(view)
    if length_header is not None:
        text = length_header.strip()
        if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) > len(view):
            raise malformed(f"{LENGTH_HEADER} is no length within the {len(view):,} bytes of the body")
        length = int(text)
        if length < len(view) and length > MAX_HEADER_BYTES:
            raise malformed(f"the JSON in front of the tensors is {length:,} bytes long, and at most {MAX_HEADER_BYTES:,} are read")
    try:
        found: object = json.loads(bytes(view[:length]), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise malformed(f"the body is no JSON: {reason}") from None
    if not isinstance(found, dict):
        raise malformed("the body is no JSON object")
    return cast("dict[str, object]", found), view[length:]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _tensors(head: Mapping[str, object], key: str, rest: memoryview) -> list[Tensor]:
    """Return the tensors of a message; the binary ones take all of `rest`, in turn."""
    tensors: list[Tensor] = []
    at = 0
    for said in _objects(head, key):
        name, datatype = _text(said, "name"), _text(said, "datatype")
        shape = read_shape(name, said.get("shape"))
        parameters = _object(said, "parameters")
        size = parameters.get("binary_data_size")
        if size is None:
            tensors.append(from_json(name, datatype, shape, said.get("data"), parameters))
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest) - at:
            raise malformed(f'binary_data_size of tensor "{name}" is {size!r}, and {len(rest) - at:,} bytes are left')
        tensors.append(from_binary(name, datatype, shape, rest[at : at + size], parameters))
        at += size
    if at != len(rest):
        raise malformed(f"{len(rest) - at:,} bytes behind the JSON belong to no tensor")
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise malformed(f"two {key} have one name")
    return tensors


def _wanted(head: Mapping[str, object], binary: bool) -> tuple[Wanted, ...] | None:
    if not head.get("outputs"):
        return None
    found: list[Wanted] = []
    for said in _objects(head, "outputs"):
        parameters = _object(said, "parameters")
        if parameters.get("classification"):
            raise malformed("the classification extension is not spoken here")
        found.append(Wanted(_text(said, "name"), _flag(parameters, "binary_data", otherwise=binary)))
    if len({wanted.name for wanted in found}) != len(found):
        raise malformed("an output is asked for twice")
    return tuple(found)


def _objects(head: Mapping[str, object], key: str) -> list[dict[str, object]]:
    found = head.get(key)
    items = cast("list[object]", found) if isinstance(found, list) else None
    if items is None or len(items) > MAX_TENSORS or not all(isinstance(item, dict) for item in items):
        raise malformed(f'"{key}" is no list of at most {MAX_TENSORS} objects')
    return cast("list[dict[str, object]]", items)


def _object(head: Mapping[str, object], key: str) -> dict[str, Any]:
    found = head.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise malformed(f'"{key}" is no object')
    return cast("dict[str, Any]", found)


def _text(head: Mapping[str, object], key: str) -> str:
    found = head.get(key, "")
    if not isinstance(found, str) or len(found) > 4096:
        raise malformed(f'"{key}" is no text of at most 4,096 characters')
    return found


def _flag(parameters: Mapping[str, Any], key: str, *, otherwise: bool) -> bool:
    found = parameters.get(key, otherwise)
    if not isinstance(found, bool):
        raise malformed(f'"{key}" is neither true nor false')
    return found
