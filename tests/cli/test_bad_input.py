"""Whatever is typed behind a command, it ends in a sentence and never in a traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grantwell.cli import main

# These serve, or speak to a server: their arguments are tried in their own tests.
_OTHERS = {"serve", "doctor", "leak-drill"}

# No system can hand over a NUL.
_WORDS = st.one_of(
    st.sampled_from(["", "-", "--", "x", "0", "-1", "1e9", "9" * 30, "*", "%", "a b", "\udcff", "\u202e", "[b]"]),
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.sampled_from(
        ["none", "7d", "sqlite+aiosqlite:///g.db", "grantwell.toml", ".", "/", "/dev/null", "http://[", "é"]
    ),
)


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += _commands(command, (*path, name))
        elif command is not None and name not in _OTHERS:
            found.append(((*path, name), command))
    return found


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    path, command = draw(st.sampled_from(_commands(main)))
    line = list(path)
    # Whoever follows what happens does so until they are interrupted.
    parameters = [parameter for parameter in command.params if parameter.name != "follow"]
    for parameter in draw(st.lists(st.sampled_from(parameters), max_size=4)):
        if isinstance(parameter, click.Option):
            line.append(draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts])))
            if not parameter.is_flag:
                line.append(draw(_WORDS))
        else:
            line.append(draw(_WORDS))
    return line + draw(st.lists(_WORDS, max_size=1))


@pytest.mark.requirement("G-311")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=_lines())
def test_no_arguments_make_a_traceback(tmp_path_factory: pytest.TempPathFactory, line: list[str]) -> None:
    folder = tmp_path_factory.mktemp("fuzzed")
    before = os.getcwd()
    os.chdir(folder)
    try:
        CliRunner().invoke(main, ["migrate"], prog_name="grantwell")
        result: Any = CliRunner().invoke(
            main, line, env={"GRANTWELL_PASSWORD": "a long password"}, prog_name="grantwell"
        )
    finally:
        os.chdir(before)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{line!r} ended in {result.exception!r}") from result.exception
    assert result.exit_code in (0, 1, 2)
    assert "Traceback" not in result.output
    assert Path(before).is_dir()
