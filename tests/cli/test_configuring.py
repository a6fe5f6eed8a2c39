"""`grantwell init`, `grantwell config`, and how other commands find database and key by a configuration."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.cli.terminal import REDIRECT, Terminal

CREATE = ["clients", "create", "--public", "--redirect-uri", REDIRECT]
UPSTREAM = "[[upstream_signin]]\nkind = 'github'\nname = 'hub'\nclient_id = 'c'\n"
APP = "async def app(scope, receive, send):\n    pass\n"


def _configured(terminal: Terminal, text: str) -> None:
    (terminal.folder / "grantwell.toml").write_text(f"[server]\nissuer = 'http://127.0.0.1:8000'\n{text}")


@pytest.mark.requirement("G-603")
def test_init_writes_a_file_that_holds_and_never_overwrites_one(terminal: Terminal) -> None:
    said = terminal("init", "--issuer", "https://auth.example.com", "--upstream", "http://127.0.0.1:9999").stdout
    assert "grantwell serve" in said
    written = (terminal.folder / "grantwell.toml").read_text()
    assert tomllib.loads(written)["server"]["issuer"] == "https://auth.example.com"
    assert tomllib.loads(written)["api"] == [{"prefix": "/api", "upstream": "http://127.0.0.1:9999"}]
    assert [path.name for path in terminal.folder.iterdir()] == ["grantwell.toml"]
    assert "port = 8123" in _init(terminal, "--issuer", "http://127.0.0.1:8123").splitlines()
    assert "there already" in terminal("init", "--issuer", "https://other.example", code=1).stderr
    assert (terminal.folder / "grantwell.toml").read_text() == written
    assert terminal("config", "check").stdout == "grantwell.toml is valid.\n"
    assert "serve --config other.toml" in terminal("init", "other.toml").stdout
    assert "cannot be written" in terminal("init", "no/such/folder.toml", code=1).stderr
    for wrong in (
        ["--issuer", "http://auth.example.com"],
        ["--issuer", ""],
        ["--issuer", "x\x1b[2J"],
        ["--upstream", "http://a:b@c"],
        ["."],
    ):
        terminal("init", *wrong, code=2)
    assert terminal.json("config", "check", "--config", "other.toml")["file"] == "other.toml"


def _init(terminal: Terminal, *words: str) -> str:
    terminal("init", "local.toml", *words)
    return (terminal.folder / "local.toml").read_text()


@pytest.mark.requirement("G-600", "G-311")
def test_check_says_what_is_wrong_with_the_file_and_with_what_it_names(terminal: Terminal) -> None:
    assert "grantwell init" in terminal("config", "check", code=1).stderr
    assert "no.toml: cannot be read" in terminal("config", "check", "--config", "no.toml", code=1).stderr
    terminal("config", "check", "--config", "", code=2)
    _configured(terminal, "port = 'x'\nworkers = 0\n")
    said = terminal("config", "check", code=1).stderr
    assert said.splitlines() == [
        "Error: the configuration has 2 errors:",
        "grantwell.toml:3: server.port: must be a whole number, without quotation marks.",
        "grantwell.toml:4: server.workers: must be at least 1.",
    ]
    for text, sentence in (
        ("[[api]]\nprefix = '/api'\napp = 'no_such_module:app'", ":5: api[0].app: cannot be had: ModuleNotFoundError"),
        ("[[api]]\nprefix = '/api'\napp = 'notes:nothing'", ":5: api[0].app: cannot be had: AttributeError"),
        ("[[api]]\nprefix = '/api'\napp = 'broken:app'", ":5: api[0].app: cannot be had: RuntimeError: no\\x1b luck"),
        ("[[api]]\nprefix = '/api'\napp = 'notes:NUMBER'", "is not an ASGI application"),
        ("[[api]]\nprefix = '/api'\nupstream = 'ftp://x'", ":5: api[0].upstream: must be an http or https URL"),
        (f"{UPSTREAM}everybody = true", ":3: upstream_signin[0].client_secret: must be given"),
        (f"{UPSTREAM}client_secret_file = 'no'", "upstream_signin[0].client_secret_file: "),
        (f"{UPSTREAM}client_secret_file = 'notes.py'", ":3: upstream_signin[0].everybody: must be true, or"),
        ("[signin]\naccent = 'red'", ":4: signin.accent: "),
        ("[signin]\nlogo = 'notes.py'", ":4: signin.logo: "),
        ("[signin]\ntexts = { no_such_text = 'x' }", ":4: signin.texts"),
        ("[hooks]\non_event = 'notes:nothing'", ":4: hooks.on_event: cannot be had: AttributeError"),
    ):
        (terminal.folder / "notes.py").write_text(f"{APP}NUMBER = 1\n")
        (terminal.folder / "broken.py").write_text("raise RuntimeError('no\\x1b luck')\n")
        _configured(terminal, text)
        result = terminal("config", "check", code=1)
        assert sentence in result.stderr, result.stderr
        assert "Traceback" not in result.output
    assert sorted(path.name for path in terminal.folder.iterdir() if path.suffix == ".key") == []


@pytest.mark.requirement("G-600")
def test_all_that_the_file_names_and_that_is_wrong_is_said_at_once(terminal: Terminal) -> None:
    _configured(
        terminal,
        "[signin]\naccent = 'red'\n[hooks]\non_event = 'gone:x'\n[[api]]\nprefix = '/a'\napp = 'gone:app'\n"
        "[[api]]\nprefix = '/b'\nupstream = 'ftp://x'\n",
    )
    said = terminal("config", "check", code=1).stderr.splitlines()
    assert [line.partition(": ")[0] for line in said[1:]] == [f"grantwell.toml:{line}" for line in (9, 12, 4, 6)]


@pytest.mark.requirement("G-600")
def test_what_is_probably_not_meant_is_a_warning(terminal: Terminal) -> None:
    (terminal.folder / "grantwell.toml").write_text("[server]\nissuer = 'https://auth.example.com'\n")
    checked = terminal("config", "check")
    assert "Warning: grantwell.toml:1: server.trusted_proxies: is empty" in checked.stderr
    assert "Warning: grantwell.toml: api: is not there" in checked.stderr
    assert len(terminal.json("config", "check")["warnings"]) == 2
    proxied = {
        "GRANTWELL_SERVER__TRUSTED_PROXIES": "127.0.0.1",
        "GRANTWELL_RESOURCE__0__IDENTIFIER": "https://f.example/",
    }
    checked = terminal("config", "check", "--json", code=0, stdin=None, **proxied)
    assert '"warnings": []' in checked.stdout


@pytest.mark.requirement("G-602", "G-601")
def test_show_tells_each_value_and_where_it_comes_from_and_no_secret(terminal: Terminal) -> None:
    _configured(terminal, "[[api]]\nprefix = '/api'\napp = 'notes:app'\n[api.scopes]\nread = 'Read'\n")
    shown = terminal.json("config", "show", GRANTWELL_SERVER__PORT="9000")
    assert shown["server.issuer"] == {"value": "http://127.0.0.1:8000", "source": "grantwell.toml:2"}
    assert shown["server.port"] == {"value": 9000, "source": "$GRANTWELL_SERVER__PORT"}
    assert shown["server.workers"] == {"value": 1, "source": "default"}
    assert shown["api[0].scopes"] == {"value": {"read": "Read"}, "source": "grantwell.toml:6"}
    secret = "postgresql+asyncpg://grantwell:hunter2@db/grantwell"
    for words in (["config", "show"], ["config", "show", "--json"]):
        output = terminal(*words, GRANTWELL_DATABASE_URL=secret).output
        assert "hunter2" not in output
        assert "***" in output
    _configured(terminal, f"{UPSTREAM}everybody = true\n")
    terminal("config", "check", GRANTWELL_UPSTREAM_SIGNIN__0__CLIENT_SECRET="hunter2")
    shown = terminal.json("config", "show", GRANTWELL_UPSTREAM_SIGNIN__0__CLIENT_SECRET="hunter2")[
        "upstream_signin[0].client_secret"
    ]
    assert shown == {"value": "***", "source": "$GRANTWELL_UPSTREAM_SIGNIN__0__CLIENT_SECRET"}
    lines = terminal("config", "show").stdout.splitlines()
    assert lines[0].split() == ["KEY", "VALUE", "FROM"]
    assert any(line.split() == ["server.port", "8000", "default"] for line in lines)


@pytest.mark.requirement("G-601")
def test_every_command_finds_database_and_key_by_the_configuration(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (terminal.folder / "keys").mkdir()
    _configured(terminal, "database_url = 'sqlite+aiosqlite:///data.db'\nsecret_key_file = 'keys/deployment.key'\n")
    terminal("migrate")
    client = terminal.json(*CREATE)["client_id"]
    assert sorted(path.name for path in terminal.folder.rglob("*") if path.suffix in (".db", ".key")) == [
        "data.db",
        "deployment.key",
    ]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    named = ["--config", str(terminal.folder / "grantwell.toml")]
    assert terminal.json("clients", "list", *named)[0]["client_id"] == client
    assert terminal.json("clients", "show", client, GRANTWELL_CONFIG=named[1])["client_id"] == client
    assert terminal.json("users", "list", *named) == []
    assert terminal.json("purge", *named)["clients"] == 0
    # Another database, named by hand, has a key of its own.
    url = "sqlite+aiosqlite:///other.db"
    terminal("migrate", *named, "--database-url", url)
    terminal.json(*CREATE, *named, "--database-url", url)
    assert (elsewhere / "other.key").exists()


@pytest.mark.requirement("G-600", "G-311")
def test_a_command_with_a_wrong_configuration_changes_nothing(terminal: Terminal) -> None:
    _configured(terminal, "prot = 1\n")
    for words in (["clients", "list"], ["migrate"], ["users", "list"], ["serve"], ["purge"]):
        assert "server.prot: is not a setting; did you mean port?" in terminal(*words, code=1).stderr
    assert [path.name for path in terminal.folder.iterdir()] == ["grantwell.toml"]


@pytest.mark.requirement("G-313")
def test_while_a_key_is_being_replaced_commands_accept_the_one_before(terminal: Terminal) -> None:
    terminal("migrate")
    client = terminal.client()["client_id"]
    (terminal.folder / "grantwell.key").rename(terminal.folder / "before.key")
    (terminal.folder / "after.key").write_text("ab" * 32)
    (terminal.folder / "after.key").chmod(0o600)
    _configured(terminal, "secret_key_file = 'after.key'\n")
    assert "was not written with the key" in terminal("clients", "show", client, code=1).stderr
    _configured(terminal, "secret_key_file = 'after.key'\nolder_secret_key_file = 'before.key'\n")
    assert terminal.json("clients", "show", client)["client_id"] == client


def test_json_of_a_configuration_is_complete(terminal: Terminal) -> None:
    _configured(terminal, "")
    shown = json.loads(terminal("config", "show", "--json").stdout)
    assert {key.partition(".")[0] for key in shown} >= {"server", "oauth", "signin", "hooks"}
    assert shown["server.database_url"]["value"] == "sqlite+aiosqlite:///grantwell.db"
