"""Worlds whose server fetches keys from a small internet on this machine."""

from __future__ import annotations

from tests.documents.conftest import authority, internet, world

__all__ = ["authority", "internet", "world"]
