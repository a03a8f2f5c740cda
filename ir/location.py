"""Where an op or constant came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loc:
    """Names of the ONNX nodes (or initializer) that something came from; all of them after fusion, in order, without repeats."""

    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the names as one readable text."""
        return " + ".join(self.names) if self.names else "?"

    def joined(self, *others: Loc) -> Loc:
        """Return a location that holds the names of this one and of `others`."""
        names = dict.fromkeys(self.names)
        for other in others:
            names.update(dict.fromkeys(other.names))
        return Loc(tuple(names))


NOWHERE = Loc()
