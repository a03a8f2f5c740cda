"""Messages of the Open Inference Protocol: what goes out comes back, and what does not keep to the protocol is refused before it costs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.oip import LENGTH_HEADER, read_error, read_request, read_response, request_message, response_message
from autosplitc.runtime.oip_tensors import bytes_tensor, datatype_of, tensor_of

DTYPES = ("bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")


def body(head: object, rest: bytes = b"") -> tuple[bytes, str]:
    text = json.dumps(head).encode()
    return text + rest, str(len(text))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_comes_back(dtype: str, binary: bool) -> None:
    array = np.arange(6).reshape(2, 1, 3).astype(dtype)
    if dtype == "f2" and not binary:
        with pytest.raises(LinkError, match="FP16, which the protocol has no JSON for"):
            response_message("m", "1", "", [(tensor_of("t", array), False)])
        return
    headers, parts = response_message("m", "1", "a7", [(tensor_of("t", array), binary), (bytes_tensor("b", [b"", b"xyz"]), binary)])
    answer = read_response(b"".join(bytes(part) for part in parts), headers.get(LENGTH_HEADER))
    assert (LENGTH_HEADER in headers) == binary
    assert int(headers["Content-Length"]) == sum(len(part) for part in parts)
    assert answer.id == "a7"
    assert answer.outputs["t"].array.dtype == array.dtype
    assert np.array_equal(answer.outputs["t"].array, array)
    assert answer.outputs["b"].data == (b"", b"xyz")


def test_a_request_as_the_extension_prints_it() -> None:
    """The bytes of a request, by the text of the binary tensor extension: little-endian, a length before each element of BYTES."""
    tensors = [tensor_of("a", np.array([[1, 258]], np.uint16)), bytes_tensor("b", [b"hi"], {"codec": "png"})]
    headers, parts = request_message(tensors, ["y"], "9", {"timeout": 5})
    message = b"".join(bytes(part) for part in parts)
    length = int(headers[LENGTH_HEADER])
    assert json.loads(message[:length]) == {
        "id": "9",
        "inputs": [
            {"name": "a", "shape": [1, 2], "datatype": "UINT16", "parameters": {"binary_data_size": 4}},
            {"name": "b", "shape": [1], "datatype": "BYTES", "parameters": {"codec": "png", "binary_data_size": 6}},
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        "parameters": {"timeout": 5, "binary_data_output": True},
    }
    assert message[length:] == b"\x01\x00\x02\x01" + b"\x02\x00\x00\x00hi"
    found = read_request(message, headers[LENGTH_HEADER])
    assert [t.name for t in found.inputs] == ["a", "b"]
    assert found.inputs[1].parameters["codec"] == "png"


def test_json_lists_are_flat_or_nested() -> None:
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4]]):
        text, _ = body({"inputs": [{"name": "x", "shape": [2, 2], "datatype": "INT32", "data": data}]})
        assert read_request(text, None).inputs[0].array.tolist() == [[1, 2], [3, 4]]


def one(**fields: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [2], "datatype": "UINT8", "data": [1, 2], **fields}]}


BAD: dict[str, tuple[object, str]] = {
    "no-object": ([], "no JSON object"),
    "no-inputs": ({}, "no list"),
    "inputs-of-texts": ({"inputs": ["x"]}, "no list"),
    "shape-negative": (one(shape=[-1]), "shape"),
    "shape-text": (one(shape=["2"]), "shape"),
    "shape-true": (one(shape=[True]), "shape"),
    "shape-long": (one(shape=[1] * 40), "shape"),
    "shape-huge": (one(shape=[2**62, 2**62]), "elements"),
    "datatype-unknown": (one(datatype="COMPLEX"), "datatype"),
    "too-few": (one(data=[1]), "elements"),
    "ragged": (one(shape=[2, 2], data=[[1, 2, 3], [4]]), "nested"),
    "over-range": (one(data=[1, 256]), "numbers that UINT8 has not"),
    "below-range": (one(data=[1, -1]), "numbers that UINT8 has not"),
    "over-float": (one(datatype="FP32", data=[1, 1e39]), "numbers that FP32 has not"),
    "int-too-long-for-float": (one(datatype="FP64", data=[1, 10**400]), "numbers that FP64 has not"),
    "text-for-number": (one(data=["1", "2"]), "another type"),
    "true-for-number": (one(data=[True, False]), "another type"),
    "float-for-integer": (one(data=[1.5, 2]), "another type"),
    "number-for-bool": (one(datatype="BOOL", data=[1, 0]), "another type"),
    "fp16-in-json": (one(datatype="FP16"), "FP16"),
    "size-negative": (one(parameters={"binary_data_size": -1}), "binary_data_size"),
    "size-beyond": (one(parameters={"binary_data_size": 2**63}), "binary_data_size"),
    "size-not-the-shape's": (one(parameters={"binary_data_size": 0}), "takes 2 bytes"),
    "two-of-one-name": ({"inputs": [*one()["inputs"], *one()["inputs"]]}, "one name"),
    "name-number": (one(name=5), '"name"'),
    "parameters-list": (one(parameters=[1]), '"parameters"'),
    "output-twice": ({**one(), "outputs": [{"name": "y"}, {"name": "y"}]}, "twice"),
    "flag-number": ({**one(), "parameters": {"binary_data_output": 1}}, "neither true nor false"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_the_protocol_is_refused(name: str) -> None:
    head, words = BAD[name]
    with pytest.raises(LinkError, match=words) as caught:
        read_request(body(head)[0], None)
    assert caught.value.code == "AS860"


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1e1", "9" * 30, "²"])
def test_a_length_of_the_json_that_is_none(length: str) -> None:
    with pytest.raises(LinkError, match=LENGTH_HEADER):
        read_request(b'{"inputs": []}', length)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"inputs": NaN}'])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(LinkError, match="no JSON"):
        read_request(text, None)


@pytest.mark.parametrize("rest", [b"\x05\x00\x00\x00abc", b"\x03\x00\x00\x00abcd", b"\x03\x00", b"\xff\xff\xff\xffabc"])
def test_elements_of_bytes_that_do_not_fill_their_room(rest: bytes) -> None:
    head = {"inputs": [{"name": "b", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(rest)}}]}
    with pytest.raises(LinkError, match='tensor "b"'):
        read_request(*body(head, rest))


def test_bytes_that_belong_to_no_tensor() -> None:
    with pytest.raises(LinkError, match="belong to no tensor"):
        read_request(*body(one(), b"abc"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    """Nothing but LinkError comes out of a request with bytes changed, lost or added."""
    headers, parts = request_message([tensor_of("a", np.arange(5, dtype=np.float32)), bytes_tensor("b", [b"q", b""])], ["y"])
    message = bytearray(b"".join(bytes(part) for part in parts))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(message) - 1))
        message[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        read_request(message, headers[LENGTH_HEADER])
    except LinkError as error:
        assert error.code == "AS860"


def test_names_of_element_types() -> None:
    assert [datatype_of(dtype) for dtype in ("f32", "u8", "bool", "str", "i64")] == ["FP32", "UINT8", "BOOL", "BYTES", "INT64"]
    with pytest.raises(LinkError, match="no datatype for elements of u4"):
        datatype_of("u4")


@pytest.mark.parametrize(("said", "shown"), [(b'{"error": "a\\nb"}', "a b"), (b"<p>", "<p>"), (b'{"error": 5}', "5"), (b"[1]", "[1]")])
def test_what_servers_say(said: bytes, shown: str) -> None:
    assert read_error(said) == shown
