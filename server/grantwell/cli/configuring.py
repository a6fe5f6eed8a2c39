"""`grantwell init` and `grantwell config`: the configuration file, written, checked and shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ..config import configure
from ..errors import ConfigurationError
from .config import Loaded, read
from .config.lines import KeyPath
from .config.settings import SECTIONS, Setting
from .config.template import template
from .options import DEFAULT_CONFIG, config_file, is_configured, with_config, with_json
from .output import print_json, print_table
from .serving import checked

_HIDDEN = "***"


def _issuer(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        configure(issuer=value, prefixes=())
    except ConfigurationError as error:
        raise click.BadParameter(str(error).removeprefix("issuer: ")) from None
    return value


def _upstream(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        is_origin = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or parts.username or not value.isascii() or not value.isprintable():
        raise click.BadParameter("is the URL of your API, as in http://127.0.0.1:9000.")
    return value


@click.command()
@click.argument("file", default=DEFAULT_CONFIG, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--issuer",
    default="http://127.0.0.1:8000",
    show_default=True,
    metavar="URL",
    callback=_issuer,
    help="What clients will know the server by.",
)
@click.option(
    "--upstream",
    default="http://127.0.0.1:9000",
    show_default=True,
    metavar="URL",
    callback=_upstream,
    help="The API that the server is put in front of.",
)
def init(file: Path, issuer: str, upstream: str) -> None:
    """Write a commented configuration to FILE (grantwell.toml), and nothing else. It never overwrites one."""
    given: dict[tuple[str, str], Any] = {("server", "issuer"): issuer}
    if (parts := urlsplit(issuer)).scheme == "http":
        # On this machine alone, so nothing else listens there for it.
        given["server", "port"] = parts.port or 80
    given |= {("api", "prefix"): "/api", ("api", "upstream"): upstream}
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(template(given))
    except FileExistsError:
        raise click.ClickException(f"{file} is there already, and is left as it is.") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from None
    named = "" if str(file) == DEFAULT_CONFIG else f" --config {click.format_filename(file)}"
    click.echo(f"{click.format_filename(file)} is written. Next:\n")
    click.echo(f"  grantwell config check{named}")
    click.echo(f"  grantwell migrate{named}            # makes the database")
    click.echo(f"  grantwell users add NAME{named}     # asks for a password")
    click.echo(f"  grantwell serve{named}")


@click.group("config")
def config_group() -> None:
    """The configuration file."""


@config_group.command()
@with_config
@with_json
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Say what is wrong with the configuration, and with what it names: all of it, each with file and line."""
    loaded = _loaded(context)
    checked(loaded)
    if as_json:
        doubts = [str(doubt) for doubt in loaded.doubts]
        print_json({"file": None if loaded.file is None else str(loaded.file), "valid": True, "warnings": doubts})
    else:
        warn(loaded)
        click.echo(f"{loaded.file or 'The configuration in the environment'} is valid.")


@config_group.command()
@with_config
@with_json
@click.pass_context
def show(context: click.Context, as_json: bool) -> None:
    """Show what holds, and where each value comes from. Secrets are shown as ***."""
    loaded = _loaded(context)
    rows = list(_values(loaded))
    if as_json:
        print_json({key: {"value": value, "source": source} for key, value, source in rows})
    else:
        print_table(("KEY", "VALUE", "FROM"), rows)


def warn(loaded: Loaded) -> None:
    """Tell what works, and is probably not what was meant."""
    for doubt in loaded.doubts:
        click.echo(f"Warning: {doubt}", err=True)


def _loaded(context: click.Context) -> Loaded:
    file = config_file(context)
    if not is_configured(file):
        raise click.ClickException(f"There is no {DEFAULT_CONFIG} here: name it with --config, or run: grantwell init")
    return read(file, os.environ)


def _values(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """Each setting with its value, as JSON has it, and what set it."""
    for name, chapter in SECTIONS.items():
        section = getattr(loaded.configuration, name)
        tables = list(enumerate(section)) if chapter.is_repeated else [(None, section)]
        for number, table in tables:
            for key, setting in chapter.keys.items():
                path: KeyPath = (name, key) if number is None else (name, number, key)
                where = f"{name}.{key}" if number is None else f"{name}[{number}].{key}"
                yield where, _shown(setting, getattr(table, key)), loaded.sources.get(path, "default")


def _shown(setting: Setting, value: Any) -> Any:
    if value is None:
        return None
    if setting.is_secret:
        return _HIDDEN
    if setting.name == "database_url":
        try:
            return make_url(value).render_as_string(hide_password=True)
        except ArgumentError:
            return _HIDDEN
    return value if isinstance(value, str | int | float | bool | list | dict) else str(value)
