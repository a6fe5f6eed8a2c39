"""What the demo server logs: one line an event, without query strings and without anything that opens a door."""

from __future__ import annotations

import logging
import re
from typing import Any

from .output import plain

_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
_TOKEN = re.compile(r"(gw[acrs]_)[A-Za-z0-9_-]{16,}")


class OneLine(logging.Formatter):
    """Escapes control characters, so that nobody can forge a line, and masks whatever looks like a token."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line of a record."""
        return plain(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, with the traceback, if it has one."""
        return _TOKEN.sub(r"\1***", super().format(record))


class WithoutQuery(logging.Filter):
    """Cuts the paths that uvicorn logs at the question mark: codes and states travel behind it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


def log_config(*, access_log: bool) -> dict[str, Any]:
    """The logging of a server process, for `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without_query": {"()": f"{__name__}.WithoutQuery"}},
        "formatters": {"one_line": {"()": f"{__name__}.OneLine", "format": _FORMAT}},
        "handlers": {
            "server": {"class": "logging.StreamHandler", "formatter": "one_line", "filters": ["without_query"]},
            "other": {"class": "logging.StreamHandler", "formatter": "one_line"},
        },
        "root": {"handlers": ["other"], "level": "WARNING"},
        "loggers": {
            "grantwell": {"level": "INFO"},
            "uvicorn": {"handlers": ["server"], "level": "WARNING", "propagate": False},
            "uvicorn.access": {"level": "INFO" if access_log else "WARNING"},
        },
    }
