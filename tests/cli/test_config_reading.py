"""A configuration, read from a file, the environment and options, and what is said of one that is wrong."""

from __future__ import annotations

import tomllib
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from grantwell.cli.config import Loaded, Rejected, read
from grantwell.cli.config.settings import SECTIONS
from grantwell.cli.config.template import default_of, template, toml
from grantwell.config import configure
from grantwell.front import Front
from grantwell.signin import Branding
from grantwell.signin.upstream import OIDC, GitHub

UPSTREAM = "[[upstream_signin]]\nname = 'corp'\nclient_id = 'c'\neverybody = true\n"
SMALL = '[server]\nissuer = "https://auth.example.com"\n'


def _read(folder: Path, text: str, options: Any = None, **environment: str) -> Loaded:
    file = folder / "grantwell.toml"
    file.write_text(text)
    return read(file, environment, options)


def _complaints(folder: Path, text: str, **environment: str) -> list[str]:
    """What is said, without the folder."""
    with pytest.raises(Rejected) as rejected:
        _read(folder, text, **environment)
    return [str(complaint).removeprefix(f"{folder}/") for complaint in rejected.value.complaints]


@pytest.mark.requirement("G-600")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\n", "grantwell.toml:1: server.issuer: is missing."),
        ("", "grantwell.toml: server: is missing."),
        ("[server]\nissuer = 'http://a.example'", "grantwell.toml:2: server.issuer: must be https;"),
        ("[server]\nissuer = 'https://a.example/'", "grantwell.toml:2: server.issuer: must not end with a slash"),
        (SMALL + "port = '80'", "grantwell.toml:3: server.port: must be a whole number, without quotation marks."),
        (SMALL + "port = true", "grantwell.toml:3: server.port: must be a whole number"),
        (SMALL + "port = 65536", "grantwell.toml:3: server.port: must be at most 65535."),
        (SMALL + "port = -1", "grantwell.toml:3: server.port: must be at least 0."),
        (SMALL + "access_log = 'no'", "grantwell.toml:3: server.access_log: must be true or false"),
        (SMALL + "host = 1", "grantwell.toml:3: server.host: must be text, in quotation marks."),
        (SMALL + "trusted_proxies = '10.0.0.0/8'", "server.trusted_proxies: must be a list, in square brackets."),
        (SMALL + "trusted_proxies = [\n'::1',\n'x']", ":5: server.trusted_proxies[1]: must be an address"),
        (SMALL + "prot = 1", "grantwell.toml:3: server.prot: is not a setting; did you mean port?"),
        (SMALL + "code_ttl = 1", "server.code_ttl: is not a setting here; it belongs to [oauth]."),
        (SMALL + "xyz = 1", "server.xyz: is not a setting; here may be: issuer, host, port,"),
        (SMALL + "[sever]\n", "grantwell.toml:3: sever: is not a section; did you mean server?"),
        (SMALL + "[api]\nprefix = '/'", "grantwell.toml:3: api: must be an array of tables: write [[api]]."),
        (SMALL + "[[signin]]", "grantwell.toml:3: signin: must be a table."),
        (SMALL + "[oauth]\ncode_ttl = '1h'", "grantwell.toml:4: oauth.code_ttl: must be from 1 to 600 seconds."),
        (SMALL + "[oauth]\ncode_ttl = '1 h'", "oauth.code_ttl: must be whole seconds, or a length of time such as"),
        (SMALL + "[oauth]\ncode_ttl = 1.5", "oauth.code_ttl: must be whole seconds, or a length of time such as"),
        (SMALL + "[oauth]\ncallback_timeout = 301", "oauth.callback_timeout: must be more than 0 and at most 300"),
        (SMALL + "[oauth]\ntoken_endpoint = 'token'", "grantwell.toml:4: oauth.token_endpoint: must be a plain path"),
        (SMALL + "[oauth]\ntoken_endpoint = '/revoke'", "oauth.token_endpoint: overlaps"),
        (SMALL + "[oauth]\ntoken_endpoint = '/readyz'", "grantwell.toml:4: oauth.token_endpoint: is taken"),
        (SMALL + "[oauth]\nprivate_use_schemes = ['https']", "oauth.private_use_schemes: 'https' is not a scheme"),
        (SMALL + "[oauth]\ndefault_scopes = ['x']", "oauth.default_scopes: 'x' is not a scope of any resource."),
        (SMALL + "[oauth]\nclient_registration_endpoint = 'none'\nallow_client_management = true",
         "grantwell.toml:5: oauth.allow_client_management: needs a client_registration_endpoint."),
        (SMALL + "[hooks]\non_event = 'os.system'", "hooks.on_event: must name a Python object"),
        (SMALL + "[[api]]\n", "grantwell.toml:3: api[0].prefix: is missing."),
        (SMALL + "[[api]]\nprefix = 'api'\napp = 'a:b'", "grantwell.toml:3: api[0]: the prefix 'api' must begin with"),
        (SMALL + "[[api]]\nprefix = '/token'\napp = 'a:b'", "'/token' overlaps token_endpoint"),
        (SMALL + "[[api]]\nprefix='/a'\napp='a:b'\n[[api]]\nprefix = '/a'\napp='a:b'",
         "grantwell.toml:7: api[1].prefix: is taken"),
        (SMALL + "[[api]]\nprefix = '/healthz'\napp='a:b'", "grantwell.toml:4: api[0].prefix: is taken"),
        (SMALL + "[[api]]\nprefix = '/a'\napp='a:b'\nscopes = { 'a b' = 'x' }", "grantwell.toml:3: api[0]: "),
        (SMALL + "[[api]]\nprefix = '/a'", "grantwell.toml:3: api[0]: must have an upstream or an app"),
        (SMALL + "[[api]]\nprefix = '/a'\napp='a:b'\nupstream = 'http://x'", ":5: api[0].app: cannot be there"),
        (SMALL + "[[api]]\nprefix = '/a'\napp='a:b'\nidle_timeout = 5", ":6: api[0].idle_timeout: is for an upstream"),
        (SMALL + "[[resource]]\nidentifier = 'x'", "grantwell.toml:3: resource[0]: "),
        ("[server]\nissuer = 'http://127.0.0.1:8000'\nhost = '0.0.0.0'",
         "grantwell.toml:3: server.host: must be 127.0.0.1, ::1 or localhost as long as the issuer is http"),
        (SMALL + "[signin]\npasswords = false", "grantwell.toml:4: signin.passwords: cannot be false without"),
        (SMALL + UPSTREAM + "kind = 'saml'", ":7: upstream_signin[0].kind: must be 'oidc' or 'github'."),
        (SMALL + UPSTREAM, "grantwell.toml:3: upstream_signin[0].issuer: is missing."),
        (SMALL + UPSTREAM + "issuer='https://a.example'\nweb='x'", ":8: upstream_signin[0].web: is not for kind = "),
        (SMALL + UPSTREAM + "kind='github'\nissuer='x'", ":8: upstream_signin[0].issuer: is not for kind"),
        (SMALL + f"{UPSTREAM}kind='github'\n{UPSTREAM}kind='github'", "upstream_signin[1].name: is taken"),
        (SMALL + UPSTREAM + "kind='github'\nkeep_tokens=true\n[hooks]\ntoken_exchange_callback='a:b'",
         ":10: hooks.token_exchange_callback: cannot be there while"),
        ("[server]\nissuer = ", "grantwell.toml:2: is not TOML: Invalid value."),
        ("a = 1\na = 2", "grantwell.toml:2: is not TOML: Cannot overwrite a value."),
        ("a = '''\n\n\n", "grantwell.toml:1: is not TOML"),
        ("a = " + "[" * 5000, "is nested too deeply."),
        ("x" * (1024 * 1024 + 1), "is too large to be a configuration."),
    ],
)  # fmt: skip
def test_each_complaint_names_file_line_and_field_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    complaints = _complaints(tmp_path, text)
    assert any(said in complaint for complaint in complaints), complaints
    assert len(complaints) == 1 or text == SMALL + "[oauth]\ntoken_endpoint = '/revoke'"


@pytest.mark.requirement("G-600")
def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "[server]\nissuer = 5\nport = 'x'\n\n[oauth]\ncode_ttl = 0\nfoo = 1\n\n[[api]]\nprefx = '/api'\n"
    said = _complaints(tmp_path, text, GRANTWELL_SERVER__WORKERS="many", GRANTWELL_SERVER__PROT="1")
    assert {complaint.partition(": ")[0] for complaint in said} == {
        "grantwell.toml:2",
        "grantwell.toml:3",
        "grantwell.toml:6",
        "grantwell.toml:7",
        "grantwell.toml:9",
        "grantwell.toml:10",
        "$GRANTWELL_SERVER__WORKERS",
        "$GRANTWELL_SERVER__PROT",
    }


@pytest.mark.requirement("G-600")
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    for file, said in ((tmp_path, "Is a directory"), (tmp_path / "no.toml", "No such file or directory")):
        with pytest.raises(Rejected, match=said):
            read(file, {})
    (tmp_path / "latin.toml").write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(Rejected, match=r"latin\.toml:2: is not UTF-8\."):
        read(tmp_path / "latin.toml", {})


@pytest.mark.requirement("G-602")
@pytest.mark.parametrize(
    "text",
    [
        SMALL + UPSTREAM + "kind = 'github'\nclient_secret = 'hunter2'",
        SMALL + "database_url = 'postgresql+asyncpg://grantwell:hunter2@db/grantwell'",
        SMALL + "[[api]]\nprefix = '/a'\nupstream = 'http://me:hunter2@127.0.0.1:9000'",
        "[server]\nissuer = 'https://grantwell:hunter2@auth.example.com'",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    said = "\n".join(_complaints(tmp_path, text))
    assert "hunter2" not in said
    assert "password" in said or "into $GRANTWELL_UPSTREAM_SIGNIN__0__CLIENT_SECRET." in said


_SETTINGS = [(chapter.heading, name) for chapter in SECTIONS.values() for name in [*chapter.keys, "client_secert"]]


@pytest.mark.requirement("G-602")
@pytest.mark.parametrize(("heading", "name"), _SETTINGS)
def test_what_was_written_instead_of_a_value_is_never_repeated(tmp_path: Path, heading: str, name: str) -> None:
    head = f"{SMALL}{heading}\n" if heading != "[server]" else "[server]\n"
    said = "\n".join(_complaints(tmp_path, f'{head}{name} = [["hunter2"]]\n'))
    assert name in said
    assert "hunter2" not in said


@pytest.mark.requirement("G-601")
def test_options_come_before_the_environment_the_environment_before_the_file_and_that_before_the_default(
    tmp_path: Path,
) -> None:
    text = SMALL + "port = 1\nhost = '::1'\nworkers = 2\n[[api]]\nprefix = '/a'\napp = 'a:b'\n"
    environment = {"GRANTWELL_SERVER__PORT": "2", "GRANTWELL_SERVER__WORKERS": "3", "GRANTWELL_API__0__PREFIX": "/e"}
    loaded = _read(tmp_path, text, {("server", "port"): ("--port", 3)}, **environment)
    server = loaded.configuration.server
    assert (server.port, server.workers, server.host, server.access_log) == (3, 3, "::1", True)
    assert loaded.configuration.api[0].prefix == "/e"
    file = f"{tmp_path}/grantwell.toml"
    assert loaded.sources["server", "port"] == "--port"
    assert loaded.sources["server", "workers"] == "$GRANTWELL_SERVER__WORKERS"
    assert loaded.sources["server", "host"] == f"{file}:4"
    assert loaded.sources["api", 0, "prefix"] == "$GRANTWELL_API__0__PREFIX"
    assert loaded.sources["api", 0, "app"] == f"{file}:8"
    assert ("server", "access_log") not in loaded.sources


@pytest.mark.requirement("G-601")
def test_the_environment_alone_can_say_everything() -> None:
    loaded = read(
        None,
        {
            "GRANTWELL_SERVER__ISSUER": "https://auth.example.com",
            "GRANTWELL_SERVER__TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "GRANTWELL_SERVER__ACCESS_LOG": "False",
            "GRANTWELL_SERVER__HOST": "",
            "GRANTWELL_OAUTH__ACCESS_TOKEN_TTL": "15m",
            "GRANTWELL_OAUTH__CALLBACK_TIMEOUT": "2.5",
            "GRANTWELL_OAUTH__REFRESH_TOKEN_TTL": "none",
            "GRANTWELL_API__0__PREFIX": "/api",
            "GRANTWELL_API__0__APP": "notes:app",
            "GRANTWELL_API__1__PREFIX": "/mcp",
            "GRANTWELL_API__1__APP": "tools:app",
            "GRANTWELL_DATABASE_URL": "sqlite+aiosqlite:///x.db",
            "GRANTWELL_SECRET_KEY_FILE": "x.key",
            "GRANTWELL_CIMD_ALLOWED_NETWORKS": "10.0.0.0/8",
            "GRANTWELL_PASSWORD": "not ours",
            "PATH": "/bin",
        },
    ).configuration
    assert (loaded.server.trusted_proxies, loaded.server.access_log) == (["10.0.0.0/8", "::1"], False)
    assert loaded.server.host == "127.0.0.1"
    assert (loaded.server.database_url, str(loaded.server.secret_key_file)) == ("sqlite+aiosqlite:///x.db", "x.key")
    assert (loaded.oauth.access_token_ttl, loaded.oauth.callback_timeout) == (900, 2.5)
    assert loaded.oauth.refresh_token_ttl is None
    assert loaded.oauth.cimd_allowed_networks == ["10.0.0.0/8"]
    assert [api.prefix for api in loaded.api] == ["/api", "/mcp"]


@pytest.mark.requirement("G-600", "G-601")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SERVER__PROT", "1", "$GRANTWELL_SERVER__PROT: is not a setting; did you mean port?"),
        ("SEVER__PORT", "1", "$GRANTWELL_SEVER__PORT: is not a section; did you mean server?"),
        ("SERVER__PORT", "eighty", "$GRANTWELL_SERVER__PORT: server.port: must be a whole number"),
        ("SERVER__ACCESS_LOG", "maybe", "$GRANTWELL_SERVER__ACCESS_LOG: server.access_log: must be true or false"),
        (
            "OAUTH__CALLBACK_TIMEOUT",
            "x",
            "$GRANTWELL_OAUTH__CALLBACK_TIMEOUT: oauth.callback_timeout: must be a number",
        ),
        ("API__PREFIX", "/x", "$GRANTWELL_API__PREFIX: must have the form GRANTWELL_SECTION__N__KEY."),
        ("SERVER__0__PORT", "1", "$GRANTWELL_SERVER__0__PORT: must have the form GRANTWELL_SECTION__KEY."),
        ("API__3__PREFIX", "/x", "$GRANTWELL_API__3__PREFIX: is for a table beyond the [[api]] tables that there are."),
        ("API__0__SCOPES", "x", "$GRANTWELL_API__0__SCOPES: api[0].scopes: must be a table."),
    ],
)
def test_what_the_environment_says_wrongly_is_said_of_the_variable(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    complaints = _complaints(tmp_path, SMALL, **{f"GRANTWELL_{name}": value})
    assert any(complaint.startswith(said) for complaint in complaints), complaints


@pytest.mark.requirement("G-601")
def test_a_path_in_the_file_is_next_to_the_file_wherever_the_command_is_run(tmp_path: Path) -> None:
    server = _read(tmp_path, SMALL + "secret_key_file = 'keys/a.key'\ndatabase_url = 'sqlite+aiosqlite:///g.db?x=1'")
    assert server.configuration.server.secret_key_file == tmp_path / "keys/a.key"
    assert server.configuration.server.database_url == f"sqlite+aiosqlite:///{tmp_path}/g.db?x=1"
    assert server.folder == tmp_path
    unsaid = _read(tmp_path, SMALL)
    assert unsaid.configuration.server.database_url == f"sqlite+aiosqlite:///{tmp_path}/grantwell.db"
    assert ("server", "database_url") not in unsaid.sources
    absolute = _read(tmp_path, SMALL + "secret_key_file = '/k'\ndatabase_url = 'sqlite+aiosqlite:////var/g.db'")
    assert str(absolute.configuration.server.secret_key_file) == "/k"
    assert absolute.configuration.server.database_url == "sqlite+aiosqlite:////var/g.db"
    given = _read(tmp_path, SMALL, GRANTWELL_SECRET_KEY_FILE="here.key", GRANTWELL_DATABASE_URL="sqlite:///here.db")
    assert str(given.configuration.server.secret_key_file) == "here.key"
    assert given.configuration.server.database_url == "sqlite:///here.db"
    for wrong in ("''", "'a\\u0000b'"):
        assert "must be the path" in _complaints(tmp_path, SMALL + f"secret_key_file = {wrong}".replace("'", '"'))[0]


@pytest.mark.requirement("G-603")
def test_the_file_has_every_setting_of_the_server_and_with_the_same_default() -> None:
    others = {"issuer", "prefixes", "resources", "trusts_issuers", "clock", "trusted_proxies"}
    settings = {name: p.default for name, p in signature(configure).parameters.items() if name not in others}
    section = SECTIONS["oauth"].keys
    assert set(section) == set(settings)
    for name, default in settings.items():
        expected = list(default) if isinstance(default, tuple) else default
        assert section[name].default == expected, name


@pytest.mark.requirement("G-603")
def test_the_file_has_every_setting_of_the_front_the_pages_and_the_upstreams() -> None:
    front = {name: p.default for name, p in signature(Front).parameters.items() if name != "upstream"}
    api = SECTIONS["api"].keys
    assert {name: api[name].default for name in front} == front
    pages = SECTIONS["signin"].keys
    assert set(pages) == {"passwords", *signature(Branding).parameters}
    assert pages["accent"].default == Branding().accent
    known = {"kind", *signature(OIDC).parameters, *signature(GitHub).parameters}
    assert set(SECTIONS["upstream_signin"].keys) == known


@pytest.mark.requirement("G-603")
def test_the_file_to_begin_with_has_every_setting_and_each_holds_when_its_mark_is_taken_away(tmp_path: Path) -> None:
    given = {
        ("server", "issuer"): "https://auth.example.com",
        ("api", "prefix"): "/api",
        ("api", "upstream"): "http://u.example",
    }
    text = template(given)
    loaded = _read(tmp_path, text).configuration
    assert (loaded.server.issuer, loaded.api[0].prefix) == ("https://auth.example.com", "/api")
    assert loaded.oauth == _read(tmp_path, SMALL).configuration.oauth
    assert max(len(line) for line in text.splitlines()) <= 140
    for chapter in SECTIONS.values():
        for setting in chapter.keys.values():
            if setting.is_secret:
                continue
            for line in [line for line in text.splitlines() if line.startswith(f"#{setting.name} = ")]:
                assert tomllib.loads(line[1:]), line
            assert f"{setting.name} = " in text
            if default_of(setting) is not None and setting.name != "database_url":
                spelled = tomllib.loads(f"x = {default_of(setting)}")["x"]
                own = _read(tmp_path, SMALL + _only(chapter.heading, setting.name, spelled))
                section = getattr(own.configuration, chapter.name)
                got = getattr(section[0] if chapter.is_repeated else section, setting.name)
                assert got == setting.default, setting


def _only(heading: str, key: str, value: Any) -> str:
    if heading == "[server]":
        return f"{key} = {toml(value)}\n"
    upstream = "name = 'corp'\nclient_id = 'c'\nissuer = 'https://i.example'\n"
    if key in ("allowed_organizations", "allowed_users", "web", "api"):
        upstream = "kind = 'github'\nname = 'corp'\nclient_id = 'c'\n"
    needed = {
        "[[upstream_signin]]": upstream,
        "[[api]]": "prefix = '/x'\nupstream = 'http://u.example'\n",
        "[[resource]]": "identifier = 'https://f.example'\n",
    }
    return f"{heading}\n{needed.get(heading, '')}{key} = {toml(value)}\n"
