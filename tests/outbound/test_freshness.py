"""How long an answer may be kept, by what it says of itself (threat A-134)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._outbound.freshness import MAX_KEPT_SECONDS, seconds_to_keep
from tests.outbound.internet import Internet, http

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DAY = 86_400
NOW = "Date: Thu, 01 Jan 2026 00:00:00 GMT"

SAID: list[tuple[list[str], int | None]] = [
    ([], None),
    (["Date: Thu, 01 Jan 2026 00:00:00 GMT", "ETag: x", "Vary: Accept"], None),
    (["Cache-Control: public"], None),
    (["Cache-Control:"], None),
    (["Cache-Control: max-age=60"], 60),
    (["cache-control: MAX-AGE=60"], 60),
    (['Cache-Control: max-age="60"'], 60),
    (["Cache-Control: public, max-age=60, must-revalidate"], 60),
    (["Cache-Control: public", "Cache-Control: max-age=60"], 60),
    (["Cache-Control: public ,\tmax-age=60 ,"], 60),
    (["Cache-Control: max-age=60, s-maxage=30"], 30),
    (["Cache-Control: s-maxage=600, max-age=60"], 600),
    (["Cache-Control: max-age=60, s-maxage=0"], 0),
    (["Cache-Control: max-age=60, max-age=30"], 30),
    (["Cache-Control: max-age=30", "Cache-Control: max-age=60"], 30),
    (["Cache-Control: max-age=0"], 0),
    (["Cache-Control: max-age=86400"], DAY),
    (["Cache-Control: max-age=86401"], DAY),
    (["Cache-Control: max-age=31536000, immutable"], DAY),
    (["Cache-Control: max-age=99999999999999999999"], DAY),
    (["Cache-Control: max-age=" + "9" * 10_000], DAY),
    (["Cache-Control: max-age=0, stale-while-revalidate=600, stale-if-error=600"], 0),
    (["Cache-Control: stale-while-revalidate=600"], None),
    *((["Cache-Control: max-age=60, " + never], 0) for never in ("no-store", "no-cache", "private", "NO-STORE")),
    (['Cache-Control: max-age=60, private="x, y"'], 0),
    (['Cache-Control: no-cache="set-cookie", max-age=60'], 0),
    (['Cache-Control: ext="a, max-age=60, no-store'], 0),
    (["Cache-Control: no-store, must-understand, max-age=60"], 0),
    *((["Cache-Control: max-age=" + odd], 0) for odd in ("", "x", "-1", "+60", "6 0", "1e3", "60.0", "0x60", "٦")),
    (["Cache-Control: max-age"], 0),
    (["Cache-Control: max-age = 60"], 0),
    (["Cache-Control: max-age=60", "Age: 20"], 40),
    (["Cache-Control: max-age=60", "Age: 0"], 60),
    (["Cache-Control: max-age=60", "Age: 60"], 0),
    (["Cache-Control: max-age=60", "Age: 61"], 0),
    (["Cache-Control: max-age=60", "Age: 10, 20"], 40),
    (["Cache-Control: max-age=60", "Age: 10", "Age: 20"], 40),
    (["Cache-Control: max-age=60", "Age: -5"], 0),
    (["Cache-Control: max-age=60", "Age: x"], 0),
    (["Cache-Control: max-age=60", "Age: " + "9" * 10_000], 0),
    (["Cache-Control: max-age=31536000", "Age: 86000"], 400),
    (["Age: 20"], None),
    (["Cache-Control: max-age=60", "Vary: Accept, Origin"], 60),
    (["Cache-Control: max-age=60", "Vary: *"], 0),
    (["Cache-Control: max-age=60", "Vary: Accept", "Vary: Origin , *"], 0),
    (["Vary: *"], 0),
    ([NOW, "Expires: Thu, 01 Jan 2026 00:01:00 GMT"], 60),
    ([NOW, "Expires: Thu, 01 Jan 2026 00:01:00 GMT", "Age: 50"], 10),
    ([NOW, "Expires: Fri, 02 Jan 2032 00:00:00 GMT"], DAY),
    ([NOW, "Expires: Wed, 31 Dec 2025 23:59:59 GMT"], 0),
    ([NOW, "Expires: Thu, 01 Jan 2026 00:01:00 GMT", "Cache-Control: max-age=30"], 30),
    ([NOW, "Expires: 0"], 0),
    ([NOW, "Expires: -1 GMT"], 0),
    ([NOW, "Expires: Thu, 99 Jan 2026 00:01:00 GMT"], 0),
    ([NOW, "Expires: Thu, 01 Jan 99999999999999999999 00:01:00 GMT"], 0),
    ([NOW, "Expires: Thu, 01 Jan 2026 00:01:00 -0000"], 0),
    ([NOW, "Expires: Thu, 01 Jan 2026 00:01:00 GMT", "Expires: Thu, 01 Jan 2026 00:02:00 GMT"], 0),
    (["Expires: Thu, 01 Jan 2026 00:01:00 GMT"], 0),
    (["Pragma: no-cache"], None),
]


def parsed(lines: list[str]) -> dict[str, list[str]]:
    """Header fields by name."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


@requirement("S-433", "A-134")
@pytest.mark.parametrize(("lines", "seconds"), SAID, ids=[f"{number}" for number in range(len(SAID))])
def test_an_answer_is_kept_as_long_as_it_says_and_never_longer_than_a_day(
    lines: list[str], seconds: int | None
) -> None:
    assert seconds_to_keep(parsed(lines)) == seconds


@requirement("S-433", "A-134")
@given(
    st.dictionaries(
        st.sampled_from(["cache-control", "age", "vary", "expires", "date", "pragma"]),
        st.lists(st.one_of(st.text(), st.from_regex(r'(max-age|s-maxage|no-store)[ =",0-9]{0,9}( GMT)?')), max_size=3),
    )
)
def test_whatever_it_says_the_seconds_are_between_none_and_a_day(fields: dict[str, list[str]]) -> None:
    seconds = seconds_to_keep(fields)
    assert seconds is None or 0 <= seconds <= MAX_KEPT_SECONDS == DAY


@requirement("S-433", "A-134")
@pytest.mark.parametrize(
    ("fields", "max_age"),
    [
        ([], None),
        (["Cache-Control: max-age=600", "Age: 100"], 500),
        (["cache-control: public", "CACHE-CONTROL: max-age=99999999"], DAY),
        (["Cache-Control: no-store"], 0),
    ],
    ids=["nothing", "a while", "two fields", "never"],
)
async def test_what_was_fetched_tells_how_long_it_may_be_kept(
    fields: list[str], max_age: int | None, internet: Internet
) -> None:
    await internet.serve(http(b"{}", *fields))
    assert (await internet.get()).max_age == max_age
