"""What reaches a terminal or a log."""

from __future__ import annotations

import logging

import pytest

from grantwell.cli.logs import OneLine, WithoutQuery
from grantwell.cli.output import instant, plain, print_members, print_table


def _logged(record: logging.LogRecord) -> str:
    WithoutQuery().filter(record)
    return OneLine("%(levelname)s %(message)s").format(record)


def _record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("uvicorn.access", logging.INFO, "f", 1, message, arguments, trace)


@pytest.mark.requirement("A-346")
def test_text_for_a_terminal_is_escaped_and_nothing_is_a_dash() -> None:
    assert plain("a\x1b[2J\u202e\u200b\ud800\x9bü\n") == "a\\x1b[2J\\u202e\\u200b\\ud800\\x9bü\\n"
    assert (plain(None), instant(None)) == ("-", "-")
    assert instant(0) == "1970-01-01 00:00:00Z"
    assert instant(10**18) == str(10**18)


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "LONG"), [("xxx", 1), ("y", None)])
    print_members({"one": ["a", "b"], "none": None, "empty": []})
    assert capsys.readouterr().out == "A    LONG\nxxx  1\ny    -\none  a\n     b\n"


@pytest.mark.requirement("A-338", "S-466")
def test_the_access_log_is_cut_at_the_question_mark() -> None:
    record = _record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/callback?code=secret&state=x", "1.1", 200)
    assert _logged(record) == 'INFO 127.0.0.1:1 - "GET /callback HTTP/1.1" 200'
    assert _logged(_record("nothing to fill in?")) == "INFO nothing to fill in?"


@pytest.mark.requirement("A-343", "S-090")
def test_a_log_line_is_one_line_without_tokens() -> None:
    token = "gwr_" + "Ab-_" * 22
    assert _logged(_record("%s", f"x\r\n2026 INFO forged {token}.")) == "INFO x\\r\\n2026 INFO forged gwr_***."
    try:
        raise ValueError(token)
    except ValueError as error:
        shown = _logged(_record("failed", error=error))
    assert "Traceback" in shown
    assert token not in shown
