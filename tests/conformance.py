"""Writes docs/conformance.md: each specification with what is met and what is left out, from requirements.toml.

python -m tests.conformance
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.toml")
PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"

Tables = Mapping[str, Mapping[str, str]]

_RFC = "https://www.rfc-editor.org/rfc/rfc{}"
_DRAFT = "https://datatracker.ietf.org/doc/draft-ietf-oauth-{}/"
_MCP = "https://modelcontextprotocol.io/specification/{}/basic/authorization"
_EXTENSIONS = "https://github.com/modelcontextprotocol/ext-auth"

_RFC_TITLES = {
    "3394": "AES Key Wrap",
    "6749": "OAuth 2.0",
    "6750": "Bearer Tokens",
    "7009": "Token Revocation",
    "7515": "JSON Web Signature",
    "7517": "JSON Web Key",
    "7519": "JSON Web Token",
    "7521": "Assertion Framework",
    "7523": "JWT Bearer Assertions",
    "7591": "Dynamic Client Registration",
    "7592": "Client Registration Management",
    "7636": "PKCE",
    "7662": "Token Introspection",
    "8252": "Native Apps",
    "8414": "Authorization Server Metadata",
    "8693": "Token Exchange",
    "8707": "Resource Indicators",
    "8725": "JWT Best Current Practice",
    "9068": "JWT Access Tokens",
    "9101": "JWT-Secured Authorization Requests",
    "9110": "HTTP Semantics",
    "9126": "Pushed Authorization Requests",
    "9207": "Issuer Identification",
    "9449": "DPoP",
    "9470": "Step-Up Authentication",
    "9700": "Security Best Current Practice",
    "9728": "Protected Resource Metadata",
}
_REVISIONS = {"0326": "2025-03-26", "0618": "2025-06-18", "1125": "2025-11-25", "0728": "2026-07-28"}

# Beside RFCs and revisions of MCP: how a source is abbreviated in requirements.toml, what it is, and where.
_OTHERS = (
    (r"OA21", "OAuth 2.1", _DRAFT.format("v2-1")),
    (r"RFC7523bis", "RFC 7523bis, Client Assertion Audiences", _DRAFT.format("rfc7523bis")),
    (r"CIMD", "Client ID Metadata Documents", _DRAFT.format("client-id-metadata-document")),
    (r"ID-JAG", "Identity Assertion Authorization Grant", _DRAFT.format("identity-assertion-authz-grant")),
    (r"EMA\+?", "MCP extension: Enterprise-Managed Authorization", _EXTENSIONS),
    (r"MCP client-credentials ext", "MCP extension: Client Credentials", _EXTENSIONS),
    (r"WIF", "MCP extension: Workload Identity Federation", _EXTENSIONS),
    (r"MCP DPoP ext", "MCP extension: DPoP", _EXTENSIONS),
    (r"(?:MCP )?best practices", "MCP security best practices", ""),
    (r"OIDC", "OpenID Connect", "https://openid.net/specs/openid-connect-core-1_0.html"),
)
_OWN = "Good practice without a text of its own"

# What an id of each letter is, in the order of the page.
KINDS = {
    "S": "requirements of specifications",
    "A": "attacks",
    "F": "faults",
    "C": "behaviours of the reference provider",
    "D": "decisions that make a class of defects impossible",
    "G": "rules of our own",
}

_PREFACE = """\
# Conformance

What the specifications ask of an authorization server and of a protected resource, entry by entry, and whether
Grantwell does it. This page is written by `python -m tests.conformance` from
[tests/requirements.toml](../tests/requirements.toml), and a test fails if it is not.

How to read the numbers:

- An **entry** is one requirement that can be seen from outside, MUST, SHOULD or MAY, in our own words. An entry that
  several specifications ask for counts at each of them, so the columns do not add up.
- **Met** means that a test of the suite names the entry. The suite fails if an entry is named by no test, and if a test
  names one that is not listed. To see the proof of an entry, search for its id: `grep -rn '"S-231"' tests`.
- **Otherwise** is an entry where sources contradict each other, or ask for less: a test names the rule that holds here.
- **Left out** is an entry for something that is not built, or that is somebody else's duty; the reason is given below.
"""


@dataclass
class Specification:
    """A text that asks for something, and the ids of what it asks for."""

    title: str
    link: str
    ids: list[str] = field(default_factory=list)

    def name(self) -> str:
        """Its title, linked where there is a place to link to."""
        return f"[{self.title}]({self.link})" if self.link else self.title


def _catalogue() -> dict[str, Specification]:
    """Every specification that may be a source, by its title, in the order of the page."""
    first, *others = (Specification(title, link) for _, title, link in _OTHERS)
    rfcs = [Specification(f"RFC {number}, {title}", _RFC.format(number)) for number, title in _RFC_TITLES.items()]
    revisions = [Specification(f"MCP {date}", _MCP.format(date)) for date in _REVISIONS.values()]
    catalogue = [first, *rfcs, *others[:3], *revisions, *others[3:], Specification(_OWN, "")]
    return {specification.title: specification for specification in catalogue}


def titles_of(source: str) -> list[str]:
    """The titles of the specifications that a source names; what is in parentheses is no source."""
    text = re.sub(r"\([^()]*\)", "", source)
    found = []
    for pattern, title, _ in _OTHERS:
        text, count = re.subn(pattern, "", text)
        found += [title] * bool(count)
    found += [f"RFC {number}, {_RFC_TITLES[number]}" for number in re.findall(r"RFC (\d{4})", text)]
    found += [f"MCP {date}" for date in _revisions_in(text)]
    return list(dict.fromkeys(found)) or [_OWN]


def _revisions_in(text: str) -> Iterator[str]:
    """The revisions of MCP that a source names: one, several, a range, or all of them."""
    numbers = list(_REVISIONS)
    for first, rest in re.findall(r"MCP-(\d{4})((?:(?:\.\.|/)\d{4})*)", text):
        if ".." in rest:
            named = numbers[numbers.index(first) : numbers.index(rest[-4:]) + 1]
        else:
            named = [first, *rest.split("/")[1:]]
        yield from (_REVISIONS[number] for number in named)
    if re.search(r"\bMCP(?! SDK| clients|-)\b", text):
        yield from _REVISIONS.values()
    if "SEP-2207" in text:
        yield _REVISIONS["0728"]


def split(entry: str) -> tuple[str, str]:
    """The sentence of an entry, and its source without the brackets."""
    match = re.search(r"^(.*) \[([^\[\]]+)\]$", entry)
    return (match[1], match[2]) if match else (entry, "")


def _ranges(ids: Iterable[str]) -> str:
    """Ids in order, neighbours joined: S-001…S-004, S-007."""
    runs: list[list[str]] = []
    for id_ in sorted(ids):
        if runs and id_[:1] == runs[-1][-1][:1] and int(id_[2:]) == int(runs[-1][-1][2:]) + 1:
            runs[-1].append(id_)
        else:
            runs.append([id_])
    return ", ".join(f"{run[0]}…{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs) or "–"


def page(tables: Tables) -> str:
    """The whole page."""
    left_out, overruled = tables["left_out"], tables["overruled"]
    everything = {**tables["rules"], **overruled, **left_out}
    catalogue = _catalogue()
    for id_ in sorted(everything):
        if id_.startswith("S-"):
            for title in titles_of(split(everything[id_])[1]):
                catalogue[title].ids.append(id_)
    cited = [specification for specification in catalogue.values() if specification.ids]
    lines = [_PREFACE, *_at_a_glance(tables), *_specifications(cited, tables), *_left_out(left_out)]
    lines += ["## Otherwise", "", *(f"- **{id_}** {overruled[id_]}" for id_ in _sorted(overruled)), ""]
    lines += ["## Every entry of a specification", ""]
    for id_ in sorted(id_ for id_ in everything if id_.startswith("S-")):
        sentence, source = split(everything[id_])
        lines.append(f"- **{id_}** {'*Left out.* ' if id_ in left_out else ''}{sentence} ({source})")
    return "\n".join(lines) + "\n"


def _sorted(ids: Iterable[str]) -> list[str]:
    return sorted(ids, key=lambda id_: (list(KINDS).index(id_[:1]), id_))


def _at_a_glance(tables: Tables) -> Iterator[str]:
    yield from ("## All together", "", "| | entries | met | otherwise | left out |", "|---|--:|--:|--:|--:|")
    for letter, what in KINDS.items():
        counts = [sum(id_.startswith(letter) for id_ in tables[name]) for name in ("rules", "overruled", "left_out")]
        yield f"| {letter}-… {what} | {sum(counts)} | {counts[0]} | {counts[1]} | {counts[2]} |"
    yield ""


def _specifications(cited: list[Specification], tables: Tables) -> Iterator[str]:
    left_out = tables["left_out"]
    yield from ("## By specification", "", "| specification | entries | met | left out |", "|---|--:|--:|--:|")
    for specification in cited:
        count, out = len(specification.ids), sum(id_ in left_out for id_ in specification.ids)
        yield f"| {specification.name()} | {count} | {count - out} | {out} |"
    yield ""
    for specification in cited:
        met = _ranges(id_ for id_ in specification.ids if id_ not in left_out)
        out_ids = _ranges(id_ for id_ in specification.ids if id_ in left_out)
        yield f"**{specification.title}**: {met}" + ("" if out_ids == "–" else f"; left out: {out_ids}")
        yield ""


def _left_out(left_out: Mapping[str, str]) -> Iterator[str]:
    """What is left out, the ids of one reason together."""
    yield from ("## Left out, and why", "")
    for letter, what in KINDS.items():
        reasons: dict[str, list[str]] = {}
        for id_ in sorted(id_ for id_ in left_out if id_.startswith(letter)):
            reasons.setdefault(split(left_out[id_])[0], []).append(id_)
        if reasons:
            yield from (f"### {what.capitalize()}", "")
            yield from (f"- **{_ranges(ids)}** {reason}" for reason, ids in reasons.items())
            yield ""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
