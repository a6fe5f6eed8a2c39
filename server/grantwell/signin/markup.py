"""HTML by construction: what is not an element is escaped, so no text can become markup."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"input", "link", "meta"})


class Html(str):
    """Markup that is finished. Every other string is escaped on its way into an element."""

    __slots__ = ()


def element(tag: str, /, *content: str, **attributes: str | bool) -> Html:
    """An element. `class_` is the attribute `class`; True is an attribute without a value, False is none."""
    rendered = "".join(_attribute(key.rstrip("_"), value) for key, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{rendered}>")
    inner = "".join(part if isinstance(part, Html) else escape(part) for part in content)
    return Html(f"<{tag}{rendered}>{inner}</{tag}>")


def document(*, title: str, language: str, stylesheet: str, content: tuple[Html, ...]) -> Html:
    """A whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="stylesheet", href=stylesheet),
    )
    return Html("<!doctype html>\n" + element("html", head, element("body", element("main", *content)), lang=language))


def _attribute(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(value)}"'
