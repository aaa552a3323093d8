"""A long list that takes little memory: what comes late is pickled and compressed, a thousand values at a time.

The filled configurations of 100,000 trials take a gigabyte as Python's objects, and a few megabytes here. Read in
their order, each thousand is unpacked once.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

SIZE = 1000  # values that are packed together
PLAIN = 5000  # values that stay as they are: most lists are shorter, and packing takes a few per cent of the time

T = TypeVar("T")


class Packed(Sequence[T], Generic[T]):
    """Values that pickle can hold; those after the first PLAIN come out as copies, of which a thousand are at hand."""

    def __init__(self) -> None:
        self._plain: list[T] = []
        self._packs: list[bytes] = []
        self._newest: list[T] = []
        self._open: tuple[int, list[T]] = (-1, [])

    def append(self, value: T) -> None:
        """Add a value at the end."""
        if len(self._plain) < PLAIN:
            self._plain.append(value)
            return
        self._newest.append(value)
        if len(self._newest) == SIZE:
            self._packs.append(zlib.compress(pickle.dumps(self._newest, pickle.HIGHEST_PROTOCOL), 1))
            self._newest = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._plain) + len(self._packs) * SIZE + len(self._newest)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        """The value at a place, or several."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        if place < PLAIN:
            return self._plain[place]
        pack, within = divmod(place - PLAIN, SIZE)
        return self._unpacked(pack)[within]

    def __iter__(self) -> Iterator[T]:
        """Every value in its order."""
        yield from self._plain
        for pack in range(len(self._packs) + 1):
            yield from self._unpacked(pack)

    def _unpacked(self, pack: int) -> list[T]:
        if pack == len(self._packs):
            return self._newest
        if self._open[0] != pack:
            self._open = (-1, [])  # let go of it first
            self._open = (pack, pickle.loads(zlib.decompress(self._packs[pack])))
        return self._open[1]
