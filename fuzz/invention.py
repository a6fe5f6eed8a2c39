"""Requests made from the description alone: each parameter gets a value of its kind, or what its schema suggests."""

from __future__ import annotations

import base64
from typing import Any

from fuzz.description import Operation
from fuzz.drafts import FORM, JSON, Draft, Pairs
from fuzz.memory import Memory

_SUGGESTED = ("const", "enum", "examples")
_URIS = ("https://c1.test/cb", "https://c1.test/x?y=1", "http://localhost/", "com.example.app:/cb", "cursor://x/y")


def invented(operation: Operation, memory: Memory) -> Draft:
    """A request to an operation."""
    draft = Draft(method=operation.method, path=operation.path)
    for parameter in operation.parameters:
        name = parameter["name"]
        if parameter["in"] == "path":
            value = memory.some("resource_path") if name == "resource" else _text(parameter["schema"], name, memory)
            draft.path = draft.path.replace(f"{{{name}}}", value or "x")
        elif parameter["in"] == "query" and memory.random.random() < (0.95 if parameter.get("required") else 0.5):
            draft.query.extend(_pairs(name, _value(parameter["schema"], name, memory)))
    if FORM in operation.bodies:
        members = _value(operation.bodies[FORM], "", memory)
        draft.form = [pair for name, value in members.items() for pair in _pairs(name, value)]
    elif JSON in operation.bodies:
        draft.document = _value(operation.bodies[JSON], "", memory)
    _authenticate(draft, operation, memory)
    return draft


def _authenticate(draft: Draft, operation: Operation, memory: Memory) -> None:
    schemes = [scheme for scheme in operation.security if memory.random.random() < 0.6]
    if "client_secret_basic" in schemes:
        credentials = f"{memory.some('ClientId')}:{memory.some('ClientSecret')}"
        draft.headers.append(("Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}"))
    if {"registration_access_token", "initial_access_token"} & set(schemes):
        draft.headers.append(("Authorization", f"Bearer {memory.some('RegistrationAccessToken') or 'x'}"))
    if "browser" in schemes and (cookie := memory.some("Cookie")):
        draft.headers.append(("Cookie", cookie))


def _pairs(name: str, value: Any) -> Pairs:
    return [(name, str(one)) for one in (value if isinstance(value, list) else [value])]


def _value(schema: dict[str, Any], name: str, memory: Memory) -> Any:
    """A value for a schema: mostly one that was seen, otherwise what the schema suggests."""
    random = memory.random
    if "allOf" in schema:
        return {key: value for part in schema["allOf"] for key, value in _value(part, name, memory).items()}
    seen = memory.some(schema.get("x-name", name))
    if seen is not None and schema.get("type", "string") == "string" and random.random() < 0.85:
        return seen
    if "oneOf" in schema:
        return _value(random.choice(schema["oneOf"]), name, memory)
    for keyword in _SUGGESTED:
        if keyword in schema:
            return schema["const"] if keyword == "const" else random.choice(schema[keyword])
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                key: _value(inner, key, memory)
                for key, inner in schema.get("properties", {}).items()
                if random.random() < (0.95 if key in required else 0.35)
            }
        case "array":
            wanted = [schema["contains"]["const"]] if "contains" in schema else []
            return wanted + [_value(schema["items"], name, memory) for _ in range(random.randrange(1, 3))]
        case "integer":
            return random.choice([0, 1, -1, 2**40])
        case "boolean":
            return random.random() < 0.5
    return _text(schema, name, memory)


def _text(schema: dict[str, Any], name: str, memory: Memory) -> str:
    if schema.get("format") == "uri":
        return memory.random.choice(_URIS)
    return memory.some(schema.get("x-name", name)) or memory.random.choice(["x", "abc", memory.any_value()])
