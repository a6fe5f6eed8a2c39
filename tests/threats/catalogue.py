"""The catalogue of hostile input, read from `cases/*.toml` and checked while it is read.

A `[[case]]` has an `id` of the threats, a `title`, the members of a request (see `requests.py`), and:

- `expect`: a safe outcome (see `outcomes.py`), or one for each HTTP parser: `{ h11 = "…", httptools = "…" }`.
- `each`: one request for each item. A text is what «it» stands for; a table changes members of the case.
- `unchanged`: whether every row and every credential is as it was afterwards; so it is for refusals, unless said.
- `given`: what happened before, and `then`: what has to hold afterwards (see `events.py`).
- `grant`: changes of the authorization request that the codes and tokens come from; `verifier` is its PKCE verifier.
- `usable = false`: its credentials never were of use. Otherwise those that were issued have to work at the end; behind
  `given` it is `then` that says what works.
- `alike = true`: all its answers are the same, byte by byte, so that none tells more than another.
- `parsers`: the HTTP parsers that the case is for; both, unless said.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.threats import outcomes
from tests.wire.world import PARSERS

FOLDER = Path(__file__).with_name("cases")
FILES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))

_REQUEST = {"to", "client", "auth", "set", "drop", "raw", "add", "body", "in_url", "method", "path", "query", "headers"}
_REQUEST |= {"host", "content_type", "length", "browser", "wire"}
_MEMBERS = {
    "id",
    "title",
    "expect",
    "each",
    "unchanged",
    "given",
    "then",
    "grant",
    "usable",
    "alike",
    "parsers",
} | _REQUEST
_MERGED = ("set", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One request of a case: the case's members with its own changes, and what «it» stands for."""

    label: str
    it: str
    members: Mapping[str, Any]

    @property
    def client(self) -> str:
        """The client whose request it is."""
        return str(self.members.get("client", "C1"))

    @property
    def grant(self) -> Mapping[str, Any]:
        """Changes of the authorization request behind its credentials."""
        grant: Mapping[str, Any] = self.members.get("grant", {})
        return grant

    @property
    def given(self) -> tuple[str, ...]:
        """What happens before it."""
        return tuple(self.members.get("given", ()))

    @property
    def usable(self) -> bool:
        """Whether its credentials work, used properly."""
        return bool(self.members.get("usable", True))

    def expected(self, parser: str) -> str:
        """The outcome that is safe, behind this HTTP parser."""
        expect = self.members["expect"]
        return str(expect if isinstance(expect, str) else expect[parser])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One entry of the catalogue. `name` is its id, with a number where an id has several entries."""

    id: str
    name: str
    file: str
    title: str
    alike: bool
    parsers: tuple[str, ...]
    variants: tuple[Variant, ...]


def cases() -> Iterator[Case]:
    """Every entry, in order. Fails for one that says what nobody would read."""
    names: set[str] = set()
    for file in FILES:
        entries = tomllib.loads((FOLDER / f"{file}.toml").read_text(encoding="utf-8"))
        assert set(entries) == {"case"}, file
        for entry in entries["case"]:
            name = next(n for n in (entry["id"], *(f"{entry['id']}-{i}" for i in range(2, 99))) if n not in names)
            names.add(name)
            yield _case(name, file, entry)


def _case(name: str, file: str, entry: Mapping[str, Any]) -> Case:
    variants = tuple(_variants(name, entry))
    for variant in variants:
        unknown = set(variant.members) - _MEMBERS
        assert not unknown, f"{name}: {unknown}"
        for parser in PARSERS:
            if parser in entry.get("parsers", PARSERS):
                outcomes.check_names(variant.expected(parser))
    return Case(
        id=entry["id"],
        name=name,
        file=file,
        title=entry["title"],
        alike=entry.get("alike", False),
        parsers=tuple(entry.get("parsers", PARSERS)),
        variants=variants,
    )


def _variants(name: str, entry: Mapping[str, Any]) -> Iterator[Variant]:
    for number, item in enumerate(entry.get("each", [""]), 1):
        changes = item if isinstance(item, dict) else {}
        members = {**entry, **changes}
        for merged in _MERGED:
            if merged in entry and merged in changes:
                members[merged] = {**entry[merged], **changes[merged]}
        it = item if isinstance(item, str) else ""
        yield Variant(label=f"{name} number {number} {item!r}"[:200], it=it, members=members)
