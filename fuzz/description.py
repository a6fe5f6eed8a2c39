"""The published description of the endpoints (docs/openapi.json), read as a judge of answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from fuzz.wire import Answer

PUBLISHED = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: its parameters, the schemas of its body by media type, and its answers by status."""

    method: str
    path: str
    parameters: tuple[Json, ...]
    bodies: Mapping[str, Json]
    responses: Mapping[str, Json]
    security: tuple[str, ...]


@dataclass(slots=True)
class Description:
    """An OpenAPI document without references: each stands in its place, under its own name in `x-name`."""

    document: Json
    operations: tuple[Operation, ...] = ()
    _validators: dict[int, Draft202012Validator] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.document = _resolved(self.document, self.document)
        self.operations = tuple(self._operations())

    @classmethod
    def published(cls) -> Description:
        """The one in docs/."""
        return cls(json.loads(PUBLISHED.read_text(encoding="utf-8")))

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    schemes = [name for choice in operation.get("security", []) for name in choice]
                    yield Operation(
                        method=method.upper(),
                        path=path,
                        parameters=(*item.get("parameters", ()), *operation.get("parameters", ())),
                        bodies={
                            kind: content["schema"]
                            for kind, content in operation.get("requestBody", {}).get("content", {}).items()
                        },
                        responses=operation["responses"],
                        security=tuple(schemes),
                    )

    def template(self, path: str) -> str | None:
        """The path of the description that a request path belongs to; a variable at the end takes slashes, too."""
        if path in self.document["paths"]:
            return path
        for template in self.document["paths"]:
            fixed, brace, variable = template.partition("{")
            rest = path.removeprefix(fixed)
            takes_slashes = variable == "resource}"
            if brace and path.startswith(fixed) and rest and (takes_slashes or "/" not in rest):
                return str(template)
        return None

    def responses(self, method: str, path: str) -> Mapping[str, Json]:
        """What may be answered to this method at this path, by status."""
        template = self.template(path)
        if template is not None:
            item = self.document["paths"][template]
            listed = method.lower() in METHODS and method.isupper() and method.lower() in item
            return dict(item[method.lower()]["responses"] if listed else item["x-other-methods"])
        others = self.document["x-other-paths"]
        return dict(others[max((prefix for prefix in others if path.startswith(prefix)), key=len)])

    def complaints(self, method: str, path: str, answer: Answer) -> list[str]:
        """How an answer differs from the description, each difference as a sentence."""
        response = self.responses(method, path).get(str(answer.status))
        if response is None:
            return [f"{answer.status} is not listed"]
        found = []
        for name, header in response.get("headers", {}).items():
            value = answer.header(name)
            if value is None and header.get("required"):
                found.append(f"{answer.status} has no {name}")
            elif value is not None and (problem := self._problem(header["schema"], value)):
                found.append(f"{answer.status}: {name}: {problem}")
        if method != "HEAD":
            found.extend(f"{answer.status}: {problem}" for problem in self._body_problems(response, answer))
        return found

    def _body_problems(self, response: Json, answer: Answer) -> Iterator[str]:
        content = response.get("content")
        kind = answer.header("content-type")
        if content is None:
            if answer.body or kind is not None:
                yield f"a body of {kind}, where none is described"
        elif kind not in content:
            yield f"the media type {kind} is not listed"
        elif kind == "application/json":
            try:
                value = json.loads(answer.body)
            except ValueError:
                yield "the body is no JSON"
                return
            if problem := self._problem(content[kind]["schema"], value):
                yield problem

    def _problem(self, schema: Json, value: Any) -> str | None:
        validator = self._validators.get(id(schema))
        if validator is None:
            validator = self._validators[id(schema)] = Draft202012Validator(schema)
        error = next(validator.iter_errors(value), None)
        return None if error is None else f"{error.json_path}: {error.message}"


def _resolved(node: Any, root: Json) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            target: Any = root
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            return {**_resolved(target, root), "x-name": node["$ref"].rpartition("/")[2]}
        return {name: _resolved(value, root) for name, value in node.items()}
    if isinstance(node, list):
        return [_resolved(item, root) for item in node]
    return node
