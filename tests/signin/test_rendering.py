"""The templates: nothing gets into them unescaped or unnoticed, and those of the operator come first."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from grantwell import ConfigurationError
from grantwell.signin import Branding
from grantwell.signin.rendering import Templates
from grantwell.signin.texts import TEXTS
from grantwell.signin.wording import Texts
from grantwell_storage import MemoryStore
from tests.signin.browser import read, running_place


def _path(route: str) -> str:
    return f"/base{route}"


@pytest.mark.requirement("A-236")
def test_what_a_template_is_given_is_text_and_what_it_is_not_given_is_an_error() -> None:
    page = Templates(Branding()).render(
        "signed_in.html", path=_path, brand_name="as", has_logo=False, user_id='<b>&"', signout_csrf='"><i>'
    )
    assert '<bdi class="name">&lt;b&gt;&amp;&#34;</bdi>' in page
    assert 'value="&#34;&gt;&lt;i&gt;"' in page
    assert 'action="/base/signout"' in page
    with pytest.raises(UndefinedError, match="user_id"):
        Templates(Branding()).render("signed_in.html", path=_path, brand_name="as", has_logo=False, signout_csrf="x")


@pytest.mark.requirement("A-236")
def test_a_text_is_escaped_and_so_is_what_stands_for_its_placeholders() -> None:
    texts = Texts({"signin.with": "<b>{provider}</b> & more"})
    assert texts("signin.with", provider="<i>{0}</i>") == "&lt;b&gt;&lt;i&gt;{0}&lt;/i&gt;&lt;/b&gt; &amp; more"
    assert texts.duration(86_400) == "1 day"
    assert texts.duration(7_200) == "2 hours"
    assert texts.duration(61) == "61 seconds"


@pytest.mark.parametrize(
    ("replaced", "complaint"),
    [
        ({"signin.tilte": "Anmelden"}, "no text 'signin.tilte'"),
        ({"signin.with": "Weiter"}, "must be: {provider}"),
        ({"signin.with": "{provider} {user}"}, "must be: {provider}"),
        ({"signin.with": "{provider.__class__}"}, "must be: {provider}"),
        ({"signin.with": "{provider!r}"}, "must be: {provider}"),
        ({"signin.title": "{"}, "must be: none"),
        ({"signin.title": "{0}"}, "must be: none"),
    ],
)
@pytest.mark.requirement("G-529")
def test_a_translation_that_would_not_do_is_refused_at_start(replaced: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        Texts(replaced)
    assert refused.value.field == "branding.texts"


def test_every_text_can_be_said_with_its_placeholders() -> None:
    for key, text in TEXTS.items():
        Texts({key: text})


@pytest.mark.anyio
async def test_a_template_of_the_operator_comes_before_ours_and_may_extend_it(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text(
        '{% extends "ours/layout.html" %}{% block header %}Acme {{ super() }}{% endblock %}', encoding="utf-8"
    )
    async with running_place(MemoryStore(), branding=Branding(templates=tmp_path)) as place:
        page = await place.browser().get("/signin")
        assert 'Acme <header><p class="brand">as.test</p>' in page.text.replace("\n", "")
        assert read(page).named("input")


def test_a_template_that_does_not_compile_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "signin.html").write_text("{% if %}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"signin.html is no template") as refused:
        Templates(Branding(templates=tmp_path))
    assert refused.value.field == "branding.templates"
