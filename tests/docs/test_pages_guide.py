"""The guide to the pages: its template takes the place of ours, and its table is what the templates themselves say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment, meta

from grantwell.signin import Branding
from grantwell_storage import MemoryStore
from tests.signin.browser import read, running_place

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/pages.md").read_text(encoding="utf-8")
TEMPLATES = ROOT / "server/grantwell/signin/templates"
# What every template can say, and what it takes from parts.html.
EVERYWHERE = {"text", "duration", "moment", "path"}
SHARED = set(re.findall(r"{% macro (\w+)", (TEMPLATES / "parts.html").read_text(encoding="utf-8")))
ROWS = dict(re.findall(r"^\| `([a-z_]+\.html)` \|[^|]*\|([^|]*)\|$", GUIDE, re.MULTILINE))


@pytest.mark.anyio
@pytest.mark.requirement("G-531")
async def test_the_template_of_the_guide_is_rendered(tmp_path: Path) -> None:
    found = re.findall(r"<!-- template: (\S+) -->\n```html\n(.*?)```", GUIDE, re.DOTALL)
    assert [name for name, _ in found] == ["layout.html"]
    for name, source in found:
        (tmp_path / name).write_text(source, encoding="utf-8")
    async with running_place(MemoryStore(), branding=Branding(templates=tmp_path)) as place:
        page = read(await place.browser().get("/signin"))
    assert [link["href"] for link in page.named("a")] == ["https://acme.example/privacy", "https://acme.example/help"]
    assert page.named("input")


@pytest.mark.requirement("G-531")
@pytest.mark.parametrize("name", ROWS)
def test_the_guide_tells_what_a_template_is_given(name: str) -> None:
    source = Environment(autoescape=True).parse((TEMPLATES / name).read_text(encoding="utf-8"))
    used = meta.find_undeclared_variables(source) - EVERYWHERE - SHARED
    assert sorted(re.findall(r"`(\w+)`", ROWS[name])) == sorted(used)


@pytest.mark.requirement("G-531")
def test_the_guide_knows_the_templates_of_a_sign_in() -> None:
    assert set(ROWS) == {path.name for path in TEMPLATES.glob("*.html")} - {"parts.html", "granted.html", "framed.html"}
