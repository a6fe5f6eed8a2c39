"""Which protected prefix a path belongs to; the guard and the router share this one decision."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Scope

from ..config import ProtectedResource

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class IrregularPath(Exception):
    """A path that another program could read as one below a protected prefix, spelled otherwise."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A protected prefix with the application that it wraps."""

    resource: ProtectedResource
    app: ASGIApp


class Prefixes:
    """The protected prefixes: the longest that matches on a path boundary decides; `/` is that path alone."""

    def __init__(self, protected: Iterable[Protected]) -> None:
        self._protected = sorted(protected, key=lambda p: len(p.resource.prefix or ""), reverse=True)

    def find(self, path: str, scope: Scope) -> Protected | None:
        """What protects this path (below the mount). Raises IrregularPath for one that is not plainly in or out."""
        if _is_irregular(path, scope):
            if self._match(path) is not None or self._match(_plain(path)) is not None:
                raise IrregularPath
            return None
        return self._match(path)

    def _match(self, path: str) -> Protected | None:
        for protected in self._protected:
            prefix = protected.resource.prefix
            if path == prefix or (prefix != "/" and path.startswith(f"{prefix}/")):
                return protected
        return None


def _is_irregular(path: str, scope: Scope) -> bool:
    raw: bytes = scope.get("raw_path") or b""
    return (
        "//" in path
        or "\\" in path
        or ("/." in path and any(segment.split(";", 1)[0] in (".", "..") for segment in path.split("/")))
        or b"%2f" in raw.lower()
        or _CONTROL.search(path) is not None
    )


def _plain(path: str) -> str:
    """The path as the most lenient reader would take it."""
    segments: list[str] = []
    for segment in path.replace("\\", "/").split("/"):
        name = "".join(c for c in segment if c >= " " and c != "\x7f").split(";", 1)[0]
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    return "/" + "/".join(segments)
