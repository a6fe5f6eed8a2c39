"""An upstream as a table of a configuration file has it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from .github import GitHub
from .oidc import OIDC
from .upstream import Upstream

_KINDS: Mapping[str, type[OIDC] | type[GitHub]] = {"oidc": OIDC, "github": GitHub}


def upstream_from(settings: Mapping[str, Any]) -> Upstream:
    """The upstream that a table describes: its `kind`, "oidc" or "github", and the arguments of `OIDC` or `GitHub`.

    A setting that is None counts as not given. Raises ConfigurationError, whose `field` is the key of the table.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    kind = given.pop("kind", "oidc")
    if kind not in _KINDS:
        raise ConfigurationError("kind", f"must be one of: {', '.join(_KINDS)}.")
    parameters = inspect.signature(_KINDS[kind]).parameters
    for name in given:
        if name not in parameters:
            raise ConfigurationError(name, f"is not a setting of an upstream of the kind {kind}.")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise ConfigurationError(name, f"must be given for an upstream of the kind {kind}.")
    return _KINDS[kind](**given)
