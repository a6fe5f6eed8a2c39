"""docs/storage-schema.md names every table and column, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from grantwell_storage import metadata

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "storage-schema.md"


def test_the_document_names_every_table_and_column_in_their_order() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    sections = re.findall(r"^### `(\w+)`\n(.*?)(?=^#{2,3} )", text, re.MULTILINE | re.DOTALL)
    documented = {name: re.findall(r"^\| `(\w+)` \| \S", body, re.MULTILINE) for name, body in sections}
    assert len(documented) == len(sections)
    assert documented == {name: [column.name for column in table.c] for name, table in metadata.tables.items()}
