"""Where Grantwell keeps its state: `SQLStore` for service, `MemoryStore` for tests and first steps."""

from ._memory.store import MemoryStore
from ._sql.store import SQLStore
from .schema import SCHEMA_VERSION
from .tables import metadata

__all__ = ["SCHEMA_VERSION", "MemoryStore", "SQLStore", "metadata"]
