"""Writes docs/configuration.md and docs/cli.md from the program itself.

python -m tests.manuals
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from grantwell.cli import main
from grantwell.cli.config.settings import SECTIONS, SHORT_NAMES, Chapter, Setting
from grantwell.cli.config.template import default_of
from tests.cli.documents import MEMBERS

DOCS = Path(__file__).parent.parent / "docs"

_CONFIGURATION = """\
# Configuration

`grantwell serve` reads `grantwell.toml`, and every command finds its database and key there. `grantwell init`
writes one with everything that is below. This page is written by `python -m tests.manuals`, and a test compares it
with the program.

```toml
[server]
issuer = "https://auth.example.com"

[[api]]
prefix = "/api"
upstream = "http://127.0.0.1:9000"
scopes = { "notes:read" = "Read your notes", "notes:write" = "Write and delete your notes" }
```

- **Which file**: `--config FILE`, or `$GRANTWELL_CONFIG`, or `grantwell.toml` in the current folder.
- **What holds**: an option of the command, else the environment, else the file, else the default. `grantwell config
  show` tells each value with the place that it comes from.
- **Environment**: `GRANTWELL_SECTION__KEY`, as in `GRANTWELL_SERVER__PORT=9000`; for one of several tables its
  number from 0, as in `GRANTWELL_API__0__UPSTREAM`. The number after the last one adds a table. A list is separated
  by commas; tables are for the file alone. An empty variable says nothing. Without a file the environment can say
  everything.
- **Secrets** have no place in the file and are refused there: they stand in files of their own (`…_file`) or in the
  environment. The deployment key is always in a file that its owner alone can read.
- **Lengths of time** are whole seconds, or text such as `"90s"`, `"15m"`, `"24h"`, `"7d"`.
- **`"none"`** is how the file says that there is none, where that is allowed.
- **Paths** in the file are relative to the folder of the file, the one in `database_url` too; those in the
  environment and in options to the current folder.
- **Python objects** (`app` and `[hooks]`) are looked for in the folder of the file first, then where Python looks.

What is wrong is said at start, all at once, with file, line and key; `grantwell config check` says it without
starting, and looks at what the file names too:

```
$ grantwell config check
Error: the configuration has 2 errors:
grantwell.toml:3: server.port: must be a whole number, without quotation marks.
grantwell.toml:7: api[0].upsteam: is not a setting; did you mean upstream?
```

The server refuses an `http` issuer beyond this machine, an address to listen at beyond this machine while the
issuer is `http`, and a key file that others can read.

`/healthz` answers 200 as long as the process does, `/readyz` as long as the database does too and 503 otherwise.
Both answer by any `Host`, tell nothing else, and may be asked by anybody.
"""

_COMMANDS = """\
# The command line

This page is written by `python -m tests.manuals`, and a test compares it with the program.

- **Database and key** are those of the [configuration](configuration.md), unless `--database-url` and
  `--secret-key-file` name others. What a command changes holds at once for servers that run.
- **Exit codes**: 0 done; 1 it could not be done, in one sentence on stderr; 2 wrong usage.
- **At a terminal** tables fit its width; in a pipe they are plain, with columns separated by two spaces or more.
  Control and bidirectional characters in what strangers chose are escaped. `NO_COLOR` is followed.
- **`--json`** prints what is listed [below](#what---json-prints); members may be added, none is renamed or taken
  away.
- **`--dry-run`** shows exactly what would be hit and changes nothing. Without it there is a question, or `--yes`;
  where there is no terminal to ask at, and no `--yes`, the command refuses with exit code 2.
- **Completion**: `grantwell completion bash`, `zsh` or `fish` prints the script. Ids are completed too.
"""

_JSON = """\
## What --json prints

Instants are seconds since 1970 UTC, or null. A list prints an array of such objects. What only
looked says `"dry_run": true`, or `"restored": false`.

| command | members |
|---|---|
"""


def configuration_page() -> str:
    """docs/configuration.md."""
    return "\n".join([_CONFIGURATION, *(_chapter(chapter) for chapter in SECTIONS.values())])


def command_page() -> str:
    """docs/cli.md."""
    rows = "".join(
        f"| `{command}` | {', '.join(f'`{member}`' for member in members)} |\n" for command, members in MEMBERS.items()
    )
    return "\n".join([_COMMANDS, *_commands(main, "grantwell"), _JSON + rows])


def _chapter(chapter: Chapter) -> str:
    rows = "\n".join(_row(setting) for setting in chapter.keys.values())
    return f"## {chapter.heading}\n\n{chapter.text}\n\n| key | kind | default | |\n|---|---|---|---|\n{rows}\n"


def _row(setting: Setting) -> str:
    default = default_of(setting)
    shown = "required" if setting.is_required else "" if default is None else f"`{default}`"
    names = [name for name, path in SHORT_NAMES.items() if path == (setting.section, setting.name)]
    also = f" Also `${names[0]}`." if names else ""
    secret = f" In the environment alone: `${setting.variable}`." if setting.is_secret else ""
    return f"| `{setting.name}` | {setting.words} | {shown} | {setting.field.description}{also}{secret} |"


def _commands(group: click.Group, path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, words)
        elif command is not None:
            yield _command(command, words)


def _command(command: click.Command, words: str) -> str:
    arguments = [_argument(parameter) for parameter in command.params if isinstance(parameter, click.Argument)]
    help_text = inspect.cleandoc(command.help or "")
    paragraphs = re.sub(r"\x08\n((?:.+\n?)+)", r"```\n\1\n```", help_text).replace("\n\n```", "\n```")
    options = [_option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    listed = "\n".join(options)
    return f"## {' '.join([words, *arguments])}\n\n{paragraphs}\n\n{listed}\n".replace("\n\n\n", "\n\n")


def _argument(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        return "|".join(str(choice) for choice in argument.type.choices)
    name = (argument.metavar or str(argument.name)).upper()
    return name if argument.required else f"[{name}]"


def _option(option: click.Option) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {_value(option)}"
    text = (option.help or "").replace("  [default:", " [default:")
    if option.show_default and option.default is not None and not option.is_flag:
        text += f" [default: {option.default}]"
    if option.show_envvar:
        text += f" [${option.envvar}]"
    return f"- `{names}{value}` {text}"


def _value(option: click.Option) -> str:
    if isinstance(option.type, click.Choice) and option.metavar is None:
        return "|".join(str(choice) for choice in option.type.choices)
    return option.metavar or "TEXT"


if __name__ == "__main__":
    (DOCS / "configuration.md").write_text(configuration_page(), encoding="utf-8")
    (DOCS / "cli.md").write_text(command_page(), encoding="utf-8")
