"""Props as JSON: what can be carried is carried unchanged, and the rest is refused before anything is written."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell.crypto import MAX_PROPS_BYTES, encode_props
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)

anything = st.recursive(
    scalars | texts | st.floats() | st.binary() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | texts, inner),
    max_leaves=8,
)


@requirement("A-333", "C-241")
@given(values)
def test_what_json_can_carry_comes_back_as_it_was(value: Any) -> None:
    encoded = encode_props(value)
    assert json.loads(encoded) == value
    assert encode_props(json.loads(encoded)) == encoded


@requirement("A-333")
@given(anything)
def test_anything_else_is_a_value_error_and_nothing_worse(value: Any) -> None:
    encoded, error = attempt(ValueError, lambda: encode_props(value))
    if encoded is None:
        assert str(error).startswith("props ")
    else:
        assert json.loads(encoded) == value


class Colour(enum.Enum):
    TEAL = 1


@requirement("A-333")
@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        b"",
        bytearray(b"x"),
        {1: 2},
        {"a": {None: 1}},
        {("a",): 1},
        {True: 1},
        2**63,
        10**5000,
        -(2**63),
        "\ud800",
        {"\udc00": 1},
        {1, 2},
        frozenset(),
        object(),
        datetime.date(2026, 1, 1),
        decimal.Decimal(1),
        Colour.TEAL,
        collections.deque([1]),
        range(3),
        1j,
        ...,
        lambda: None,
        int,
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_values_that_json_cannot_carry_are_named(value: Any) -> None:
    for props in (value, [value], {"a": [value]}):
        with pytest.raises(ValueError, match=r"^props "):
            encode_props(props)


@requirement("A-333")
def test_cycles_and_depths_are_refused_without_recursing_for_ever() -> None:
    endless: list[Any] = []
    endless.extend([endless, endless])
    looped: dict[str, Any] = {}
    looped["self"] = looped
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, looped, deep):
        with pytest.raises(ValueError, match="nested too deeply"):
            encode_props(value)


@requirement("A-333")
def test_props_take_256_kib_at_most() -> None:
    assert len(encode_props("x" * (MAX_PROPS_BYTES - 2))) == MAX_PROPS_BYTES == 262_144
    for value in ("x" * (MAX_PROPS_BYTES - 1), "é" * (MAX_PROPS_BYTES // 2), ["x"] * 100_000):
        with pytest.raises(ValueError, match="262144 is the most"):
            encode_props(value)
