"""Ties the tests and requirements.toml to each other, in both directions; this file can be run alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

_FILE = tomllib.loads(Path(__file__).with_name("requirements.toml").read_text(encoding="utf-8"))
REQUIRED: Mapping[str, str] = _FILE["overruled"] | _FILE["rules"]
LEFT_OUT: Mapping[str, str] = _FILE["left_out"]

_ID = re.compile(r"[SAFCDG]-\d{2,3}").fullmatch


def _listed(lines: set[str]) -> str:
    return "\n  ".join(["", *sorted(lines)])


def test_every_id_a_test_names_is_a_known_requirement(named_requirements: Mapping[str, list[str]]) -> None:
    unknown = {f"{id_} ({test})" for test, ids in named_requirements.items() for id_ in ids if id_ not in REQUIRED}
    assert not unknown, f"not in requirements.toml:{_listed(unknown)}"


def test_every_requirement_is_named_by_a_test(named_requirements: Mapping[str, list[str]]) -> None:
    named = {id_ for ids in named_requirements.values() for id_ in ids}
    untested = {f"{id_}  {rule}" for id_, rule in REQUIRED.items() if id_ not in named}
    assert not untested, f"{len(untested)} of {len(REQUIRED)} requirements have no test:{_listed(untested)}"


def test_every_test_over_the_wire_names_a_requirement(named_requirements: Mapping[str, list[str]]) -> None:
    nameless = {test for test, ids in named_requirements.items() if test.startswith("tests/wire/") and not ids}
    assert not nameless, f"tests without @pytest.mark.requirement(…):{_listed(nameless)}"


def test_the_marker_is_given_ids_and_nothing_else(named_requirements: Mapping[str, list[str]]) -> None:
    odd = {
        f"{id_!r} ({test})"
        for test, ids in named_requirements.items()
        for id_ in ids
        if not isinstance(id_, str) or not _ID(id_)
    }
    assert not odd, f"no requirement ids:{_listed(odd)}"


def test_every_requirement_is_one_sentence_with_an_id_and_a_source() -> None:
    odd = {f"{id_}: an id is a letter of S A F C D G and a number" for id_ in {**REQUIRED, **LEFT_OUT} if not _ID(id_)}
    odd |= {
        f"{id_}: a rule is one line that says what is to be seen"
        for id_, rule in {**REQUIRED, **LEFT_OUT}.items()
        if rule != " ".join(rule.split()) or len(rule) < 15
    }
    odd |= {
        f"{id_}: a rule of the specifications ends with its source, as in: … [RFC 6749 5.2]"
        for id_, rule in REQUIRED.items()
        if id_.startswith("S-") and not re.search(r" \[[^\[\]]+\]$", rule)
    }
    assert not odd, _listed(odd)


def test_no_id_is_both_required_and_left_out() -> None:
    tables = [_FILE["rules"], _FILE["overruled"], LEFT_OUT]
    ids = [id_ for table in tables for id_ in table]
    assert sorted(set(ids)) == sorted(ids)
    assert set(_FILE) == {"rules", "overruled", "left_out"}
