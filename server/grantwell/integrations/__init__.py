"""Grantwell in the terms of other frameworks: one module for each, which alone imports it.

`fastapi`, `django`, `mcp` (the SDK) and `fastmcp`; docs/adapters.md tells which to take.
"""
