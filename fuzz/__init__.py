"""Parsers beside their grammars (`python -m fuzz`), all routes by random requests (`python -m fuzz.requests`)."""
