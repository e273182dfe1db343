"""Changes of JSON trees, for tests of readers."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ACTIONS = st.sampled_from(['replace', 'delete', 'double'])


def junk(*more: st.SearchStrategy, max_list: int) -> st.SearchStrategy:
    """Return a strategy of invalid values of a field."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 9),
        st.just(10**30),
        st.floats(),
        st.text(max_size=4),
        st.just([]),
        st.just({}),
        st.lists(st.integers(-1, 70), max_size=max_list),
        *more,
    )


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the paths of all values of a JSON tree except its root."""
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from places(entry, (*path, key))


def change(content: Any, place: tuple, action: str, value: Any) -> None:
    """Replace, delete or duplicate the value at a path, in place."""
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if action == 'replace':
        parent[place[-1]] = value
    elif action == 'delete':
        del parent[place[-1]]
    elif isinstance(parent, list):
        parent.insert(place[-1], copy.deepcopy(parent[place[-1]]))
