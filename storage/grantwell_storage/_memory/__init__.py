"""The memory store: the same rules as `_sql`, on dictionaries."""
