from typing import Any

class LocalProtocolError(Exception): ...

class RemoteProtocolError(Exception):
    error_status_hint: int

class Request:
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]

def __getattr__(name: str) -> Any: ...
