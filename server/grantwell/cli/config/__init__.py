"""`grantwell.toml`: what may stand in it, and how it is read together with the environment."""

from __future__ import annotations

from .complaints import Complaint, Rejected
from .model import Configuration
from .reading import Loaded, Options, read

__all__ = ["Complaint", "Configuration", "Loaded", "Options", "Rejected", "read"]
