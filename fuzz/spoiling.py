"""Right requests made wrong, in one to three places."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz.drafts import FORM, JSON, Draft, Pairs, chunked
from fuzz.memory import Memory
from tests.properties.near_misses import FRAGMENTS

_TEXTS = [fragment.decode("utf-8", "replace") for fragment in FRAGMENTS]
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
_MEDIA_TYPES = [
    *(
        FORM,
        JSON,
        f"{FORM}; charset=utf-8",
        f"{FORM}; charset=latin-1",
        "application/json; charset=utf-16",
        "text/plain",
    ),
    *("multipart/form-data; boundary=x", "application/jwt", "", "x", f"{FORM}, {JSON}", "application/xml"),
]
_HEADERS: list[tuple[str, list[str]]] = [
    (
        "Authorization",
        ["Basic", "Basic Og==", "Basic !", "Basic czpz", "Bearer", "Bearer x y", "Bearer gwa_", "DPoP x", "\xff"],
    ),
    ("Cookie", ["__Host-grantwell=", "__Host-grantwell=x; __Host-grantwell=y", "a=b;;=;", "\xff", "grantwell-dev=x"]),
    ("Origin", ["https://evil.test", "null", "https://as.test"]),
    ("Sec-Fetch-Site", ["cross-site", "same-site", "same-origin", "none", "x"]),
    ("Access-Control-Request-Method", ["POST", "x"]),
    ("Host", ["evil.test", "", "as.test:1", "[::1]"]),
    ("X-Forwarded-For", ["", "x", "203.0.113.9, 127.0.0.1", "::1", "1.2.3.4:5", ","]),
    ("X-Forwarded-Host", ["evil.test"]),
    ("X-HTTP-Method-Override", ["DELETE", "GET"]),
    ("Content-Encoding", ["gzip", "identity"]),
    ("Accept", ["text/html", "application/xml", "*/*;q=0"]),
    ("Range", ["bytes=0-1", "bytes=-5,0-"]),
    ("MCP-Protocol-Version", ["2025-11-25", "x"]),
    ("If-None-Match", ["*"]),
    ("Expect", ["100-continue", "x"]),
    ("X-Long", ["x" * 9000]),
]
_MEMBERS: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**60, "", "x", "null", [], {}, [None], [[]], {"a": {"b": []}}, "https://c1.test/x"),
    *("javascript:alert(1)", "http://evil.test/cb", "a" * 3000, "\u202e", ["authorization_code"] * 40, {"keys": []}),
    *({"keys": [{"kty": "oct", "k": "x"}]}, {"keys": [{"kty": "EC", "crv": "P-256", "x": "", "y": 1}]}, {"keys": "x"}),
    *({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}),
]


def spoiled(draft: Draft, memory: Memory) -> Draft:
    """A copy of the draft with one to three things wrong in it."""
    copy = draft.copy()
    random = memory.random
    for _ in range(random.choice([1, 1, 1, 2, 2, 3])):
        slips: list[Callable[[Draft, Memory], None]] = [_header, _path, _method, _content_type, _content, _framing]
        if copy.form is not None and copy.body is None:
            slips += [_form] * 12
        if copy.query:
            slips += [_query] * 12
        if isinstance(copy.document, dict) and copy.body is None:
            slips += [_document] * 12
        random.choice(slips)(copy, memory)
    return copy


def _form(draft: Draft, memory: Memory) -> None:
    if draft.form is not None:
        if memory.random.random() < 0.03:
            draft.query, draft.form = draft.form, []
        else:
            _fields(draft.form, memory)


def _query(draft: Draft, memory: Memory) -> None:
    _fields(draft.query, memory)


def _fields(fields: Pairs, memory: Memory) -> None:
    random = memory.random
    if not fields:
        fields.append((memory.any_name(), memory.any_value()))
        return
    at = random.randrange(len(fields))
    name, value = fields[at]
    match random.choice(["drop", "empty", "double", "another", "mangle", "long", "rename", "add", "many"]):
        case "drop":
            del fields[at]
        case "empty":
            fields[at] = (name, "")
        case "double":
            fields.append((name, random.choice([value, "x", "", memory.any_value()])))
        case "another":
            fields[at] = (name, memory.any_value())
        case "mangle":
            fields[at] = (name, mangled(value, random))
        case "long":
            fields[at] = (name, value + "a" * random.choice([600, 5000, 70_000 if random.random() < 0.1 else 3000]))
        case "rename":
            fields[at] = (random.choice([name.upper(), f"{name}[]", f" {name}", memory.any_name()]), value)
        case "add":
            fields.append((memory.any_name(), memory.any_value()))
        case _:
            fields.extend((f"x{number}", "1") for number in range(random.choice([20, 40])))


def mangled(text: str, random: Random) -> str:
    """The text with a slip in it."""
    at = random.randrange(len(text) + 1)
    end = min(len(text), at + random.randrange(4))
    match random.choice(["put in", "replace", "leave out", "swap case", "double"]):
        case "put in":
            return text[:at] + random.choice(_TEXTS) + text[at:]
        case "replace":
            return text[:at] + random.choice(_TEXTS) + text[end:]
        case "leave out":
            return text[:at] + text[end:]
        case "swap case":
            return text[:at] + text[at:end].swapcase() + text[end:]
        case _:
            return text + text[at:]


def _document(draft: Draft, memory: Memory) -> None:
    random = memory.random
    document = draft.document
    names = [*document, *(() if random.random() < 0.7 else memory.names)]
    name = random.choice(names) if names else "redirect_uris"
    match random.choice(["drop", "another", "mangle", "item", "raw", "nest", "add"]):
        case "drop":
            document.pop(name, None)
        case "another":
            document[name] = random.choice(_MEMBERS)
        case "mangle" if isinstance(document.get(name), str):
            document[name] = mangled(document[name], random)
        case "item" if isinstance(document.get(name), list) and document[name]:
            at = random.randrange(len(document[name]))
            item = document[name][at]
            document[name][at] = mangled(item, random) if isinstance(item, str) else random.choice(_MEMBERS)
        case "raw":
            draft.body = mangled(json.dumps(document), random).encode("utf-8", "surrogatepass")
        case "nest":
            document[name] = json.loads("[" * 9 + "]" * 9)
        case _:
            document[memory.any_name()] = random.choice(_MEMBERS)


def _header(draft: Draft, memory: Memory) -> None:
    name, values = memory.random.choice(_HEADERS)
    if memory.random.random() < 0.5:
        draft.headers = [(key, value) for key, value in draft.headers if key.lower() != name.lower()]
    value = memory.random.choice(values)
    if name == "Authorization" and memory.random.random() < 0.3:
        value = f"Bearer {memory.any_value()}"
    # A second Host, an empty one and unmet expectations are the HTTP server's to refuse.
    draft.is_odd = draft.is_odd or name in ("Host", "Expect") or "\xff" in value
    draft.headers.append((name, value))


def _path(draft: Draft, memory: Memory) -> None:
    path = draft.path
    at = memory.random.randrange(1, len(path) + 1)
    draft.path = memory.random.choice(
        [
            *(
                f"{path}/",
                f"{path}x",
                path.upper(),
                f"/{path}",
                f"{path};a=b",
                f"/x/..{path}",
                f"/.{path}",
                f"{path}/..",
            ),
            *(f"{path[:at]}/{path[at:]}", f"{path[:at]}%00{path[at:]}", f"{path}%2F", f"{path}%0a", f"{path}\\"),
            *(f"/{path[1:2]}%{ord(path[2:3] or 'a'):02x}{path[3:]}", f"{path}%ff", f"{path}{memory.any_value()[:40]}"),
        ]
    )


def _method(draft: Draft, memory: Memory) -> None:
    draft.method = memory.random.choice([*_METHODS, draft.method.lower(), "FOO"])
    # Lenient servers know a fixed list of methods.
    draft.is_odd = draft.is_odd or draft.method not in _METHODS


def _content_type(draft: Draft, memory: Memory) -> None:
    if draft.content() is None:
        draft.body = memory.random.choice([b"", b"x=1", b"{}"])
    draft.headers.append(("Content-Type", memory.random.choice(_MEDIA_TYPES)))


def _content(draft: Draft, memory: Memory) -> None:
    random = memory.random
    if draft.has("transfer-encoding"):
        # Chunks that are none: the server may wait for the rest.
        draft.is_odd = draft.is_cut = True
    content = draft.content() or b""
    at = random.randrange(len(content) + 1)
    draft.body = random.choice(
        [
            *(
                content[:at],
                content[:at] + random.choice(FRAGMENTS) + content[at:],
                random.randbytes(40),
                b"",
                b"\x1f\x8b",
            ),
            *(content[:at] + random.randbytes(1) + content[at + 1 :], b"&" * 40, b"\xef\xbb\xbf" + content),
        ]
    )
    if not draft.has("content-type"):
        draft.headers.append(("Content-Type", JSON if draft.document is not None else FORM))


def _framing(draft: Draft, memory: Memory) -> None:
    content = draft.content()
    if content is None or draft.has("content-length") or draft.has("transfer-encoding"):
        return
    if not draft.has("content-type"):
        draft.headers.append(("Content-Type", JSON if draft.document is not None else FORM))
    match memory.random.choice(["chunked", "chunked", "chunked", "cut", "both", "no number", "large"]):
        case "chunked":
            draft.headers.append(("Transfer-Encoding", "chunked"))
            draft.body = chunked(content)
        case "cut":
            draft.headers.append(("Content-Length", str(len(content) + 5)))
            draft.is_odd = draft.is_cut = True
        case "both":
            draft.headers += [("Content-Length", "3"), ("Transfer-Encoding", "chunked")]
            draft.body = chunked(content)
            draft.is_odd = draft.is_cut = True
        case "no number":
            draft.headers.append(("Content-Length", memory.random.choice(["-1", "x", "1_0", "+1", "9" * 30])))
            draft.is_odd = draft.is_cut = True
        case _:
            draft.body = content + b"&a=" + b"a" * 66_000
