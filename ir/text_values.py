"""How values stand in the text: attributes of ops and header fields of facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .blob import BlobRef, storage_bytes
from .graph import Graph
from .text_words import quote, type_text, word_text
from .types import ArrayRef, EmptyList, TensorType


def value_text(value: Any, graph_text: Callable[[Graph], str] | None = None) -> str:
    """Return the text of a value.

    With `graph_text`, which prints sub-graphs, it is an attribute: strings that look like words stand bare. Without, it is a field of a
    fact's header: strings stand in quotes. Raises TypeError for what has no text form.
    """
    if isinstance(value, str):
        return word_text(value) if graph_text else quote(value)
    if isinstance(value, Graph) and graph_text:
        return graph_text(value)
    if isinstance(value, tuple | list):
        items: list[Any] = [*value]
        return f"[{', '.join(value_text(item, graph_text) for item in items)}]"
    text = _scalar_text(value)
    if text is None:
        raise TypeError(f"the text form has no spelling for {value!r}")
    return text


def _scalar_text(value: Any) -> str | None:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, bytes):
        return f'hex"{value.hex()}"'
    if isinstance(value, TensorType):
        return type_text(value)
    if isinstance(value, ArrayRef):
        return f"{type_text(value.type)} {blob_text(value.blob, value.type)}"
    if isinstance(value, BlobRef):
        return blob_text(value, None)
    if isinstance(value, EmptyList):
        return f"[] : {value.kind}"
    return None


def blob_text(blob: BlobRef, type_: TensorType | None) -> str:
    """Return `blob sha256:...`, with `bytes n` where the size does not follow from the type."""
    digest = f"blob sha256:{blob.sha256}"
    return digest if implied_bytes(type_) == blob.nbytes else f"{digest} bytes {blob.nbytes}"


def implied_bytes(type_: TensorType | None) -> int | None:
    """Bytes of a static tensor with elements of known width; None for every other type."""
    if type_ is None or not type_.is_static or not type_.dtype.bits:
        return None
    return storage_bytes(type_)


def dict_text(pairs: Iterable[tuple[str, Any]], graph_text: Callable[[Graph], str] | None = None) -> str:
    """Return `{key = value, ...}`; values as `value_text` spells them."""
    return f"{{{', '.join(f'{word_text(key)} = {value_text(value, graph_text)}' for key, value in pairs)}}}"
