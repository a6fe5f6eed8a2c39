"""Ties the tests and requirements.toml to each other, in both directions; this file can be run alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import conformance

_FILE = tomllib.loads(Path(__file__).with_name("requirements.toml").read_text(encoding="utf-8"))
REQUIRED: Mapping[str, str] = _FILE["overruled"] | _FILE["rules"]
LEFT_OUT: Mapping[str, str] = _FILE["left_out"]

_ID = re.compile(r"[SAFCDG]-\d{2,3}").fullmatch

# The last number of each catalogue, and the numbers that it does not use.
_LAST = {"S": "475", "A": "359", "F": "101", "C": "243", "D": "35"}
_UNUSED = {
    "A": "009 019 036 080 099 128 130 136 148 159 162 173 193 207 211 220 222 224 229 248 269 282 284 288 294 295 300 "
    "314 322 337 341 347 352 353 355 356",
    "F": "008 013 030 031 037 056 068 079 083 091",
}


def _listed(lines: set[str]) -> str:
    return "\n  ".join(["", *sorted(lines)])


def test_every_id_a_test_names_is_a_known_requirement(named_requirements: Mapping[str, list[str]]) -> None:
    unknown = {f"{id_} ({test})" for test, ids in named_requirements.items() for id_ in ids if id_ not in REQUIRED}
    assert not unknown, f"not in requirements.toml:{_listed(unknown)}"


@pytest.mark.requirement("D-35")
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
        for id_, rule in {**REQUIRED, **LEFT_OUT}.items()
        if id_.startswith("S-") and not re.search(r" \[[^\[\]]+\]$", rule)
    }
    assert not odd, _listed(odd)


def test_no_id_is_both_required_and_left_out() -> None:
    tables = [_FILE["rules"], _FILE["overruled"], LEFT_OUT]
    ids = [id_ for table in tables for id_ in table]
    assert sorted(set(ids)) == sorted(ids)
    assert set(_FILE) == {"rules", "overruled", "left_out"}


@pytest.mark.requirement("D-35")
@pytest.mark.parametrize("letter", sorted(_LAST))
def test_every_number_of_a_catalogue_has_its_place(letter: str) -> None:
    last = _LAST[letter]
    numbers = {f"{number:0{len(last)}}" for number in range(1, int(last) + 1)}
    expected = {f"{letter}-{number}" for number in numbers - set(_UNUSED.get(letter, "").split(" "))}
    listed = {id_ for id_ in {**REQUIRED, **LEFT_OUT} if id_.startswith(letter)}
    assert listed == expected, _listed(listed ^ expected)


def test_the_page_of_conformance_is_what_its_generator_writes() -> None:
    written = conformance.PAGE.read_text(encoding="utf-8")
    assert written == conformance.page(_FILE), "run: python -m tests.conformance"


@pytest.mark.parametrize(
    ("source", "titles"),
    [
        ("OA21 4.1.3; RFC 6749 4.1.2", ["OAuth 2.1", "RFC 6749, OAuth 2.0"]),
        ("RFC7523bis; OA21 2.4", ["OAuth 2.1", "RFC 7523bis, Client Assertion Audiences"]),
        ("MCP-0618..0728 AS Location", ["MCP 2025-06-18", "MCP 2025-11-25", "MCP 2026-07-28"]),
        ("MCP-0326/0618 x; SEP-2207", ["MCP 2025-03-26", "MCP 2025-06-18", "MCP 2026-07-28"]),
        ("MCP", ["MCP 2025-03-26", "MCP 2025-06-18", "MCP 2025-11-25", "MCP 2026-07-28"]),
        ("MCP best practices, State", ["MCP security best practices"]),
        ("CIMD 6.5 (RFC 6890)", ["Client ID Metadata Documents"]),
        ("practice of MCP clients", ["Good practice without a text of its own"]),
    ],
)
def test_a_source_names_its_specifications(source: str, titles: list[str]) -> None:
    assert conformance.titles_of(source) == titles
