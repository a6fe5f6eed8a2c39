"""Pages made of templates: everything is escaped, a name that is not there is an error, and all compile at start."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from ..errors import ConfigurationError
from .branding import Branding
from .wording import Texts

_OURS = FileSystemLoader(Path(__file__).parent / "templates")


class Templates:
    """The templates of one deployment: the operator's before ours; `ours/…` is always one of ours, to be extended.

    Each template can say `text(key, …)`, `duration(seconds)` and `moment(seconds)`. Raises ConfigurationError for a
    template that cannot be compiled.
    """

    def __init__(self, branding: Branding) -> None:
        self.branding = branding
        self.texts = Texts(branding.texts)
        own: list[BaseLoader] = [] if branding.templates is None else [FileSystemLoader(branding.templates)]
        self._environment = Environment(
            loader=ChoiceLoader([*own, _OURS, PrefixLoader({"ours": _OURS})]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "text": self.texts,
            "duration": self.texts.duration,
            "moment": moment,
        }
        for name in self._environment.list_templates():
            try:
                self._environment.get_template(name)
            except TemplateError as error:
                raise ConfigurationError("branding.templates", f"{name} is no template: {error}.") from error

    def render(self, template: str, /, **context: object) -> str:
        """A page. Raises TemplateNotFound, or UndefinedError for a name that the context has not."""
        return self._environment.get_template(template).render(context)


def moment(seconds: int) -> Markup:
    """An instant, in seconds since 1970, for people and for programs."""
    instant = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        instant.strftime("%Y-%m-%dT%H:%M:%SZ"), instant.strftime("%Y-%m-%d %H:%M UTC")
    )
