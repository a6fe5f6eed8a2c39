"""What a parser is given to chew on: patterns, separators, keys and brackets, in amounts that hurt a careless one."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

import grantwell
from grantwell._http.requests import client_address
from grantwell._protocol.challenges import bearer_credential
from grantwell._protocol.client_auth import presented_client
from grantwell._protocol.forms import Parameters, parse_parameters
from grantwell._protocol.json_documents import parse_object
from grantwell._protocol.media_types import reads_as
from grantwell._protocol.redirects import answer_url, check_redirect_uri, matching_redirect_uri
from grantwell._protocol.scopes import parse_scope
from grantwell.config import configure
from grantwell.crypto import Keyring, encode_props
from grantwell.errors import OAuthError
from grantwell.signin.sessions import Sessions
from tests.signin.browser import KEY
from tests.threats.arena import Arena
from tests.threats.browsers import Visitor
from tests.wire.world import asgi_scope

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

SERVER = Path(grantwell.__file__).parent
LARGE = 100_000
MOST_SECONDS = 1.0

Pattern = re.Pattern[str] | re.Pattern[bytes]


def modules() -> Iterator[str]:
    """The name of every module of the server."""
    yield "grantwell"
    for module in pkgutil.walk_packages([str(SERVER)], "grantwell."):
        if not module.name.endswith("__main__"):
            yield module.name


def patterns() -> dict[str, Pattern]:
    """Every compiled pattern of the server, by module and name."""
    found: dict[str, Pattern] = {}
    for name in modules():
        for attribute, value in vars(importlib.import_module(name)).items():
            several = list(value) if isinstance(value, tuple | list | frozenset) else [value]
            for number, item in enumerate(several):
                pattern = getattr(item, "__self__", item)  # also where a method of a pattern was given a name
                if isinstance(pattern, re.Pattern):
                    found[f"{name}.{attribute}" + f"[{number}]" * (len(several) > 1)] = pattern
    return found


def methods_by_name() -> dict[str, set[str]]:
    """By which methods of `re` each name of a pattern is used, anywhere in the server; constants under their text."""
    used: dict[str, set[str]] = defaultdict(set)
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                if isinstance(of, ast.Name) and of.id == "re":
                    constant = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
                    used[str(constant)].add(node.func.attr)
                elif isinstance(of, ast.Name):
                    used[of.id].add(node.func.attr)
    return used


BEGINNINGS = [
    "",
    "http://a",
    "https://[",
    "https://a/",
    "https://a?",
    "https://a#",
    "Basic ",
    "Bearer ",
    "com.a",
    "com.a:/",
    "x://",
    '"',
    '{"a":',
    "a=",
    "application/json",
    "__Host-a=",
]
UNITS = [*"aA0. /-_:;=&?#%@\\\"'<>[]{}()+~\t\n\x00", "a.", "a-", "-a", "%41", "%2", '\\"', '"\\', "a b", "; ", "é"]
ENDS = ["", "\x00", '"']


# Short ones first: what grows exponentially is caught by them, and would not come back from a long one.
LENGTHS = (28, 2_000, LARGE)


@cache
def hostile_texts(*, whole: bool) -> list[str]:
    """Texts that begin well, go on alike for long, and end badly; `whole` for what has to fit from the beginning."""
    return [
        beginning + unit * (length // len(unit)) + end
        for length in LENGTHS
        for beginning in (BEGINNINGS if whole else BEGINNINGS[:1])
        for unit in UNITS
        for end in (("\x00",) if beginning else ENDS)
    ]


def run(pattern: Pattern, method: str, text: str) -> None:
    """Use a pattern on a text to the end, whatever comes of it."""
    match (pattern.pattern, method):
        case (bytes(), "sub"):
            pattern.sub(b"", text.encode())  # type: ignore[call-overload]
        case (str(), "sub"):
            pattern.sub("", text)  # type: ignore[call-overload]
        case (kind, _):
            result = getattr(pattern, method)(text.encode() if isinstance(kind, bytes) else text)
            if method == "finditer":
                for _ in result:
                    continue


def compiled_in(tree: ast.AST) -> int:
    """How often `re.compile` is called below a node."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(isinstance(call, ast.Attribute) and ast.unparse(call) == "re.compile" for call in calls)


@requirement("A-309")
def test_every_pattern_of_the_server_is_found() -> None:
    found, expected = patterns(), 0
    for path in SERVER.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and compiled_in(node)]
        assert sum(map(compiled_in, named)) == compiled_in(tree), f"{path}: a pattern without a name of its own"
        module = ".".join(["grantwell", *path.relative_to(SERVER).with_suffix("").parts])
        for node in named:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = f"{module}.{ast.unparse(target)}"
            assert name in found or f"{name}[0]" in found
            expected += 1
    assert expected > 15


@requirement("A-309", "S-023")
@pytest.mark.parametrize("name", sorted(patterns()))
def test_no_pattern_takes_long_for_a_hostile_text(name: str) -> None:
    pattern, used = patterns()[name], methods_by_name()
    methods = used[name.rpartition(".")[2]] & {"fullmatch", "search", "sub", "split", "finditer", "findall"}
    for method in methods or {"fullmatch", "findall"}:
        for text in hostile_texts(whole=method == "fullmatch"):
            began = time.process_time()
            run(pattern, method, text)
            took = time.process_time() - began
            assert took < MOST_SECONDS, f"{method} took {took:.2f} s for {text[:40]!r}… of {len(text)}"


@requirement("A-309")
def test_no_pattern_that_is_written_where_it_is_used_takes_long() -> None:
    used = {constant: methods for constant, methods in methods_by_name().items() if methods & {"sub", "split"}}
    assert used
    for constant in used:
        pattern = re.compile(constant)
        for text in hostile_texts(whole=False):
            began = time.process_time()
            pattern.split(text)
            assert time.process_time() - began < MOST_SECONDS, constant


SETTINGS = configure(issuer="https://as.test", prefixes=["/api"])
SESSIONS = Sessions(None, Keyring("https://as.test", KEY), secure=True)  # type: ignore[arg-type]
NETWORKS = configure(issuer="https://as.test", prefixes=["/api"], trusted_proxies=["10.0.0.0/8"]).trusted_proxies


def basic(text: str) -> object:
    return presented_client([b"Basic " + text.encode()], Parameters({}))


def forwarded(text: str) -> object:
    scope = asgi_scope(headers={"x-forwarded-for": text}, client=("10.0.0.1", 1))
    return client_address(scope, NETWORKS)


PARSERS_OF_OURS: dict[str, tuple[Callable[[str], object], list[str]]] = {
    "form": (lambda text: parse_parameters(text.encode()), ["&", ";", "=", "%41", "%", "+", "a=1;", "&=", "a"]),
    "json": (
        lambda text: parse_object(text.encode()),
        ["[", "{", '"', "\\", '"a":1,', '"\\"', "[],", " ", "1", "\\u0041"],
    ),
    "scope": (parse_scope, [" ", "a ", "a", "\\"]),
    "bearer": (lambda text: bearer_credential([f"Bearer {text}".encode()], b""), ["a", " ", "=", "a,", "/"]),
    "query beside a token": (lambda text: bearer_credential([b"Bearer a"], text.encode()), ["&", "=", "%61", "a=b&"]),
    "basic": (basic, ["Q", "=", "QQ==", " "]),
    "cookie": (lambda text: SESSIONS._sent([text]), [";", "=", "a=b; ", "__Host-grantwell=a;", " "]),
    "cookies": (lambda text: SESSIONS._sent(text.split("|")), ["a=b|", "__Host-grantwell=|", "|"]),
    "redirect uri": (lambda text: check_redirect_uri(text, frozenset()), ["a", "/", "%2e", "https://a/"]),
    "another redirect uri": (lambda text: matching_redirect_uri(["http://127.0.0.1/cb"], text), ["a", "/", "[", ":"]),
    "state": (lambda text: answer_url("https://c1.test/cb", {"state": text}), ["a", "%", "é", "&"]),
    "media type": (lambda text: reads_as(text, "application/json"), [" ", ";", "a", "application/json;"]),
    "forwarded for": (forwarded, [",", "10.0.0.1,", " ", "[::1],"]),
}


def seconds(parse: Callable[[str], object], text: str) -> float:
    """The processor time of one parse, at best."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        with suppress(OAuthError, ValueError):
            parse(text)
        best = min(best, time.process_time() - began)
    return best


@requirement("A-310", "S-023")
@pytest.mark.parametrize("name", PARSERS_OF_OURS)
def test_eight_times_as_much_takes_about_eight_times_as_long(name: str) -> None:
    parse, units = PARSERS_OF_OURS[name]
    for unit in units:
        little, much = (unit * (size // len(unit)) for size in (8_192, 65_536))
        # Sixty-four times would be quadratic; what is done in a few milliseconds is not measured so finely.
        assert seconds(parse, much) < 24 * seconds(parse, little) + 0.005, unit


@requirement("A-311")
def test_keys_are_counted_before_many_of_them_are_kept() -> None:
    # Whoever may choose the keys of a dict may choose them so that they collide; a few can do no harm.
    names = [str(number * (2**61 - 1)) for number in range(4000)]
    for most, count in ((32, 33), (32, 4000)):
        form = "&".join(f"{name}=" for name in names[:count])
        with pytest.raises(OAuthError, match="too many"):
            parse_parameters(form.encode())
        assert len(parse_parameters("&".join(f"{name}=" for name in names[:most]).encode()).names()) == most
    with pytest.raises(ValueError, match="too many members"):
        parse_object(json.dumps(dict.fromkeys(names, 1)).encode())
    for keys in ({1: "a"}, {2**61 - 1: "a", 2 * (2**61 - 1): "b"}, {None: "a"}, {True: 1}, {(1, 2): 3}):
        with pytest.raises((TypeError, ValueError)):
            encode_props({"held": keys})


NESTED = 100_000


@requirement("A-312")
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
async def test_nothing_that_is_nested_deeply_is_followed_down(server: Arena, opening: str, closing: str) -> None:
    helpers = server.place.world.provider.helpers
    text = opening * NESTED + "1" + closing * NESTED
    for document in (text, opening * NESTED):
        with pytest.raises(ValueError, match="nested"):
            parse_object(document[:65_536].encode())
        with pytest.raises(ValueError, match="not an encoded"):
            await helpers.load_authorization_request(document)
    nested: object = 1
    for _ in range(NESTED):
        nested = [nested]
    with pytest.raises(ValueError, match="nested too deeply"):
        encode_props(nested)
    while isinstance(nested, list):  # taken apart level by level: not even the destructor goes down at once
        nested = nested[0]
    visitor = Visitor(server)
    visitor.cookie = f"__Host-grantwell={opening * 500}"
    assert (await visitor.get("/signin")).status == 200
