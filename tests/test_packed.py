"""A long list that takes little memory.

Code: generation/packed
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resweep.generation import packed
from resweep.generation.packed import Packed


@pytest.fixture(autouse=True, scope="module")
def _short() -> Iterator[None]:
    """Packs of three after the first four: what holds of them holds of a thousand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "SIZE", 3)
        patch.setattr(packed, "PLAIN", 4)
        yield


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.dates())), st.integers(-25, 25), st.slices(25))
def test_it_is_a_list(values: list[object], place: int, several: slice) -> None:
    """Length, order, places from both ends, slices, and what lies behind the end."""
    found: Packed[object] = Packed()
    for value in values:
        found.append(value)
    assert len(found) == len(values)
    assert list(found) == values
    assert list(reversed(found)) == values[::-1]
    assert found[several] == values[several]
    try:
        expected = values[place]
    except IndexError:
        with pytest.raises(IndexError):
            found[place]
    else:
        assert found[place] == expected
