"""How an operator makes the pages theirs, what is refused, and that no colour makes them hard to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grantwell import ConfigurationError
from grantwell.signin import Branding
from grantwell.signin.colors import Color, contrast, readable, readable_on
from grantwell_storage import MemoryStore
from tests.signin.browser import check_page, read, running_place

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 32
IMAGES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"\x00" * 32,
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
}
ACCENTS = ["#0b57d0", "#ffcc00", "#000000", "#ffffff", "#808080", "#ff0000", "#00ff88", "#1b1d22", "#f3f4f7", "#7a5cff"]


def _file(content: bytes, name: str = "logo.png") -> Callable[[Path], dict[str, Any]]:
    def write(folder: Path) -> dict[str, Any]:
        (folder / name).write_bytes(content)
        return {"logo": folder / name}

    return write


@pytest.mark.requirement("G-526")
@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("name", {"name": "x" * 81}),
        ("name", {"name": "Acme\u202e"}),
        ("name", {"name": "a\nb"}),
        ("accent", {"accent": "red"}),
        ("accent", {"accent": "#fff"}),
        ("accent", {"accent": "#0b57d0; } body { display: none"}),
        ("templates", {"templates": Path("nowhere")}),
        ("texts", {"texts": {"consent.alow": "Erlauben"}}),
        ("texts", {"texts": {"signin.with": "Weiter"}}),
        ("logo", {"logo": Path("nowhere.png")}),
        ("logo", _file(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.svg")),
        ("logo", _file(b"<html>", "logo.png")),
        ("logo", _file(b"")),
        ("logo", _file(PNG + b"\x00" * 256 * 1024)),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_set(
    field: str, settings: dict[str, Any] | Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Branding(**(settings(tmp_path) if callable(settings) else settings))
    assert refused.value.field == f"branding.{field}"


@pytest.mark.anyio
@pytest.mark.requirement("G-527", "S-157")
@pytest.mark.parametrize("media_type", IMAGES)
async def test_a_logo_comes_from_the_server_itself(media_type: str, tmp_path: Path) -> None:
    file = tmp_path / "logo"
    file.write_bytes(IMAGES[media_type])
    branding = Branding(name="Acme <Notes>", logo=file)
    file.unlink()
    async with running_place(MemoryStore(), branding=branding) as place:
        browser = place.browser()
        page = await browser.get("/signin")
        assert read(page).named("img") == [{"class": "logo", "src": "/signin/logo", "alt": ""}]
        assert "Sign in · Acme <Notes>" in read(page).words
        logo = check_page(await browser.http.get("/signin/logo"))
        assert (logo.content, logo.headers["content-type"]) == (IMAGES[media_type], media_type)
        assert logo.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in logo.headers["content-security-policy"]


@pytest.mark.anyio
@pytest.mark.requirement("G-527")
async def test_without_a_logo_there_is_none() -> None:
    async with running_place(MemoryStore()) as place:
        browser = place.browser()
        assert read(await browser.get("/signin")).named("img") == []
        assert (await browser.get("/signin/logo")).status_code == 404


@pytest.mark.anyio
@pytest.mark.requirement("G-528", "A-238")
async def test_a_template_of_the_operator_changes_no_header(tmp_path: Path) -> None:
    template = (
        "<!doctype html><title>x</title><script>alert(1)</script><form action=\"{{ path('/signin') }}\">Acme</form>"
    )
    (tmp_path / "signin.html").write_text(template, encoding="utf-8")
    async with running_place(MemoryStore(), branding=Branding(templates=tmp_path)) as place:
        answer = await place.browser().http.get("/signin")
        ours = await place.browser().get("/nowhere")
    assert "Acme</form>" in answer.text
    for name in ("content-security-policy", "x-frame-options", "referrer-policy", "cache-control", "content-type"):
        assert answer.headers[name] == ours.headers[name]
    assert "script-src" not in answer.headers["content-security-policy"]


@pytest.mark.anyio
@pytest.mark.requirement("G-529")
async def test_another_language_is_a_matter_of_texts() -> None:
    texts = {"language": "ar", "direction": "rtl", "signin.title": "تسجيل <الدخول>", "signin.submit": "ادخل"}
    async with running_place(MemoryStore(), branding=Branding(texts=texts)) as place:
        page = read(await place.browser().get("/signin"))
    assert page.named("html") == [{"lang": "ar", "dir": "rtl"}]
    assert "تسجيل <الدخول>" in page.words
    assert "Sign in" not in page.words


def schemes(css: str) -> dict[str, dict[str, Color]]:
    """The colours of a stylesheet, by name, in the light scheme and in the dark one."""
    found: dict[str, dict[str, Color]] = {"light": {}, "dark": {}}
    for dark, light in re.findall(
        r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}|:root \{(.*?)\}", css, re.S
    ):
        for name, value in re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark or light):
            found["dark" if dark else "light"][name] = Color.parse(value)
    return found


READ = [
    (text, ground)
    for text, grounds in {
        "text": ("page", "surface", "raised", "caution-surface", "danger-surface"),
        "muted": ("page", "surface", "raised"),
        "link": ("page", "surface", "raised"),
        "on-accent": ("accent",),
        "caution": ("surface", "caution-surface"),
        "danger": ("surface", "danger-surface"),
        "good": ("surface",),
    }.items()
    for ground in grounds
]
SEEN = [("edge", "surface"), ("accent", "surface"), ("accent", "raised"), ("link", "page"), ("danger", "surface")]


@pytest.mark.anyio
@pytest.mark.requirement("G-530")
@pytest.mark.parametrize("accent", ACCENTS)
async def test_everything_can_be_read_in_both_schemes_whatever_the_accent(accent: str) -> None:
    async with running_place(MemoryStore(), branding=Branding(accent=accent)) as place:
        css = (await place.browser().http.get("/signin.css")).text
    found = schemes(css)
    assert set(found["light"]) == set(found["dark"])
    for scheme, colors in found.items():
        for text, ground in READ:
            assert contrast(colors[text], colors[ground]) >= 4.5, (scheme, text, ground)
        for edge, ground in SEEN:
            assert contrast(colors[edge], colors[ground]) >= 3, (scheme, edge, ground)


@pytest.mark.requirement("G-530")
def test_no_colour_is_used_that_the_contrast_was_not_computed_of() -> None:
    css = (Path(__file__).parents[2] / "server/grantwell/signin/static/signin.css").read_text(encoding="utf-8")
    rules = re.sub(r":root \{.*?\}", "", css, flags=re.S)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl|opacity", rules)
    used = set(re.findall(r"var\(--([a-z-]+)\)", rules))
    assert used <= {name for pair in READ + SEEN for name in pair} | {"line", "shadow"}


def test_a_contrast_is_what_the_guidelines_compute() -> None:
    black, white = Color.parse("#000000"), Color.parse("#ffffff")
    assert contrast(black, white) == contrast(white, black) == pytest.approx(21)
    assert contrast(Color.parse("#767676"), white) == pytest.approx(4.54, abs=0.01)
    assert contrast(Color.parse("#777777"), white) == pytest.approx(4.48, abs=0.01)
    assert (readable_on(Color.parse("#ffcc00")), readable_on(Color.parse("#0b57d0"))) == (black, white)
    assert str(readable(Color.parse("#0b57d0"), white, 4.5)) == "#0b57d0", "what can be read stays as it is"
