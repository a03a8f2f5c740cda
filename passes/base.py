"""Pass: a pure function `(Module, Env) -> Module` with a name, options, and the facts that it needs, gives and preserves.

A pass is a frozen dataclass; its fields are its options, with defaults. `needs` are checked before anything runs; `preserves` lists the
facts about `main` that stay true when the pass rewrites it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from numpy.typing import NDArray

from autosplitc.ir import Diagnostic, Fact, Module
from autosplitc.targets import Network, Target

T = TypeVar("T")


class Data(Protocol):
    """Samples for calibration or evaluation. Iterating again starts again; batches are small, memory does not grow with their number."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of the data, hex."""
        ...

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield arrays by graph-input name, first axis the samples, already in the input's element type."""
        ...

    def labels(self) -> NDArray[Any] | None:
        """Class labels [samples] as integers, or None where the data has none."""
        ...


class Progress(Protocol):
    """Where a pass tells how far it is."""

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, showing a bar for anything that takes over a second."""
        ...


@dataclass(frozen=True, slots=True)
class Silent:
    """A progress that shows nothing."""

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`."""
        del description, total
        yield from items


class Cache(Protocol):
    """Results of long computations, kept between runs by keys that are digests of everything they depend on."""

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, or None."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key; a cache that cannot be written keeps nothing."""
        ...


@dataclass(frozen=True, slots=True)
class NoCache:
    """A cache that keeps nothing."""

    def get(self, key: str) -> bytes | None:
        """Return None."""
        del key

    def put(self, key: str, value: bytes) -> None:
        """Keep nothing."""
        del key, value


def _ignore(diagnostic: Diagnostic) -> None:
    del diagnostic


@dataclass(frozen=True, slots=True)
class Env:
    """What a pass may use besides the module. `calib` is None where the user gave no data; `warn` takes diagnostics that do not stop."""

    edge: Target
    cloud: Target
    network: Network
    calib: Data | None = None
    seed: int = 0
    progress: Progress = field(default_factory=Silent)
    cache: Cache = field(default_factory=NoCache)
    warn: Callable[[Diagnostic], None] = _ignore


@dataclass(frozen=True)
class Pass(ABC):
    """Base of all passes. `name` is kebab-case and the file's name in snake_case; `summary` is one line for `--list-passes`."""

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    needs: ClassVar[tuple[type[Fact], ...]] = ()
    gives: ClassVar[tuple[type[Fact], ...]] = ()
    preserves: ClassVar[tuple[type[Fact], ...]] = ()

    @abstractmethod
    def apply(self, module: Module, env: Env) -> Module:
        """Return the module after the pass."""
