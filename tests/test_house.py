"""The rules of the house, read from the sources themselves: sizes, names, documentation, and what security forbids."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("server", "storage", "migrations")
EVERYTHING = (*PRODUCT, "tests", "benchmarks", "examples")

MAX_SOURCE_LINES = 400
MAX_TEST_LINES = 700
MAX_FUNCTION_LINES = 60


def _sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Each Python file below the folders, as its path in the repository and its text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _listed(found: list[str]) -> str:
    return "\n  ".join(["", *found])


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, text in _sources(*EVERYTHING) if not ast.get_docstring(ast.parse(text))]
    assert not silent, f"modules without a docstring:{_listed(silent)}"


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    long = []
    for name, text in _sources(*EVERYTHING):
        limit = MAX_TEST_LINES if name.startswith("tests/") else MAX_SOURCE_LINES
        if (lines := len(text.splitlines())) > limit:
            long.append(f"{name}: {lines} lines, {limit} are allowed")
    assert not long, _listed(long)


def test_every_function_fits_on_a_screen() -> None:
    long = []
    for name, text in _sources("server", "storage"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # A signature with a line for each setting is read as a table, not as code.
                lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name}:{node.lineno} {node.name}: {lines} lines, {MAX_FUNCTION_LINES} are allowed")
    assert not long, _listed(long)


FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "base", "misc"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [
        name
        for name, _ in _sources(*EVERYTHING)
        for part in Path(name).with_suffix("").parts
        if FORBIDDEN_NAMES & set(part.lower().split("_"))
    ]
    assert not vague, _listed(vague)


def test_coverage_is_not_talked_away() -> None:
    excused = [name for name, text in _sources(*PRODUCT) if re.search(r"#\s*pragma:\s*no\s*(cover|branch)", text)]
    assert not excused, f"coverage pragmas:{_listed(excused)}"


def test_public_names_are_those_that_are_documented() -> None:
    """`__all__` equals the names that open a list item or table row under the heading "Public names" of the README."""
    public = importlib.import_module("grantwell").__all__
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^(#+) Public names\n(.*?)(?=^#{1,6} |\Z)", readme, re.MULTILINE | re.DOTALL)
    assert section, 'README.md has no section "Public names"'
    documented = re.findall(r"^(?:[-*]|\|) *((?:`\w+`(?:, )?)+)", section[2], re.MULTILINE)
    names = [name for line in documented for name in re.findall(r"`(\w+)`", line)]
    assert sorted(names) == sorted(public)
    assert len(set(public)) == len(public)


def test_every_public_name_exists_and_tells_what_it_is() -> None:
    grantwell = importlib.import_module("grantwell")
    missing = [name for name in grantwell.__all__ if not hasattr(grantwell, name)]
    assert not missing
    silent = [
        name
        for name in grantwell.__all__
        if callable(getattr(grantwell, name)) and not getattr(grantwell, name).__doc__
    ]
    assert not silent, f"public names without a docstring:{_listed(silent)}"


def test_the_readme_is_the_page_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("readme") == "README.md"
    assert (ROOT / "README.md").is_file()


def _links(markdown: str) -> Iterator[str]:
    """The targets of the links and images of a page; code is no text."""
    text = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "`", text)
    yield from re.findall(r"\]\(<?([^)\s>]+)", text)
    yield from re.findall(r"^\[[^\]]+\]:\s*<?([^\s>]+)", text, flags=re.MULTILINE)


def test_every_local_link_in_a_page_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(page for folder in ("docs", *EVERYTHING) for page in (ROOT / folder).rglob("*.md"))]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in _links(page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z][a-z0-9+.-]*:|#", link) and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert not broken, _listed(broken)


# ── what security forbids ──────────────────────────────────────────────────────────────────────────────────────────

_SECRET_WORDS = {"secret", "digest", "mac", "csrf", "verifier", "password", "hash", "hmac", "signature"}
_NOT_THE_VALUE = {"at", "id", "ids", "ttl", "method", "methods", "count", "length", "size", "version", "kind", "name"}
_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|VALUES|CREATE TABLE|DROP TABLE)\b")
_FORBIDDEN_MODULES = {
    "random": "is predictable; use secrets",
    "pickle": "executes what it reads",
    "marshal": "executes what it reads",
    "shelve": "executes what it reads",
}


def _looks_secret(node: ast.expr) -> bool:
    """Whether the name of a value says that it decides about access: `row_mac`, `sha256(…).digest()`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            words = name.lower().strip("_").split("_")
            return bool(_SECRET_WORDS & {word.removesuffix("s") for word in words}) and words[-1] not in _NOT_THE_VALUE
    return False


def _is_no_value(node: ast.expr) -> bool:
    """A constant, or a column `table.c.digest`, which the database compares by an index."""
    match node:
        case ast.Constant() | ast.Attribute(value=ast.Attribute(attr="c")):
            return True
        case ast.Name(id=name):
            return name.isupper()
    return False


def _mentions_sql(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(_SQL.search(node.value))
    if isinstance(node, ast.JoinedStr):
        return any(_mentions_sql(part) for part in node.values)
    return isinstance(node, ast.BinOp) and (_mentions_sql(node.left) or _mentions_sql(node.right))


def _names_request(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_") in {"request", "req", "websocket", "connection", "conn"}


def _objections_to_call(node: ast.Call) -> Iterator[str]:
    match node.func:
        case ast.Attribute(attr="match"):
            yield "re.match accepts what follows the match; use fullmatch"
        case ast.Attribute(attr="form", value=value) if _names_request(value):
            yield "request.form() is unbounded and lenient; use our own reader"
        case ast.Attribute(attr="split" | "rsplit") if not node.args and not node.keywords:
            yield "split() without a separator splits at every Unicode blank"
        case ast.Attribute(attr="format", value=text) if _mentions_sql(text):
            yield "SQL put together from strings; bind parameters"
        case ast.Name(id="eval" | "exec"):
            yield "eval and exec execute what they are given"


def _objections_to(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (f"{n.name} {_FORBIDDEN_MODULES[n.name]}" for n in names if n.name in _FORBIDDEN_MODULES)
        case ast.ImportFrom(module=str(module), level=0) if module in _FORBIDDEN_MODULES:
            yield f"{module} {_FORBIDDEN_MODULES[module]}"
        case ast.ImportFrom(module="re", names=names) if any(n.name == "match" for n in names):
            yield "re.match accepts what follows the match; use fullmatch"
        case ast.Attribute(attr="url" | "base_url" | "url_for", value=value) if _names_request(value):
            yield "request.url believes the Host header; URLs come from configuration"
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq(), *_], comparators=[right, *_]):
            if (_looks_secret(left) or _looks_secret(right)) and not (_is_no_value(left) or _is_no_value(right)):
                yield "a secret is compared with hmac.compare_digest, never with =="
        case ast.JoinedStr(values=parts) if _mentions_sql(node) and any(
            isinstance(p, ast.FormattedValue) for p in parts
        ):
            yield "SQL put together from strings; bind parameters"
        case ast.BinOp(op=ast.Mod() | ast.Add(), left=left, right=right) if _mentions_sql(left) or _mentions_sql(right):
            if not (isinstance(left, ast.Constant) and isinstance(right, ast.Constant)):
                yield "SQL put together from strings; bind parameters"
        case ast.Call():
            yield from _objections_to_call(node)


def _objections(source: str, *, may_assert: bool = False) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        found += [(line, objection) for objection in _objections_to(node)]
        if isinstance(node, ast.Assert) and not may_assert:
            found.append((line, "assert vanishes under python -O; raise"))
    return sorted(found)


@pytest.mark.requirement("A-296", "D-16")
def test_server_and_storage_hold_nothing_that_security_forbids() -> None:
    found = [
        f"{name}:{line} {objection}"
        for name, text in _sources("server", "storage")
        for line, objection in _objections(text, may_assert="/testing" in name)
    ]
    assert not found, _listed(found)


def test_storage_and_migrations_take_no_private_name_from_the_server() -> None:
    private = [
        f"{name}:{node.lineno} {node.module}: {alias.name}"
        for name, text in _sources("storage", "migrations")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "grantwell"
        for alias in node.names
        if any(part.startswith("_") for part in [*(node.module or "").split("."), alias.name])
    ]
    assert not private, _listed(private)


@pytest.mark.requirement("A-296", "D-16")
@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from random import choice",
        "import pickle",
        "re.match('a', text)",
        "from re import match",
        "PATTERN.match(text)",
        "here = request.url.path",
        "here = self.request.base_url",
        "fields = await request.form()",
        "assert allowed",
        "if stored.digest == digest: pass",
        "if client_secret != given: pass",
        "ok = sha256(raw).digest() == wanted",
        "ok = row['mac'] == mac(row)",
        "ok = csrf_token == form['csrf_token']",
        "connection.execute(f'SELECT * FROM {table}')",
        "connection.execute('DELETE FROM %s' % table)",
        "connection.execute('UPDATE ' + table)",
        "connection.execute('SELECT {}'.format(column))",
        "scopes = text.split()",
        "eval(text)",
    ],
)
def test_the_rules_of_security_see_what_they_forbid(source: str) -> None:
    assert _objections(source)


@pytest.mark.parametrize(
    "source",
    [
        "import secrets",
        "PATTERN.fullmatch(text)",
        "path = scope['path']",
        "client.url = None",
        "ok = compare_digest(stored.digest, digest)",
        "clause = grants.c.digest == digest",
        "public = client.token_endpoint_auth_method == 'none'",
        "ended = secret.secret_expires_at == now",
        "short = len(secret) == 43",
        "scopes = text.split(' ')",
        "connection.execute('SELECT 1 ' 'WHERE 1')",
        "message = f'could not update {name}'",
        "match outcome:\n    case 'rotated': pass",
    ],
)
def test_the_rules_of_security_let_the_right_way_pass(source: str) -> None:
    assert not _objections(source)
