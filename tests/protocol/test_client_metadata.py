"""Client metadata (threats 1.5): narrowed to what the server has, never widened, and safe to show."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from grantwell._protocol.client_metadata import ClientMetadata, client_document, parse_client_metadata
from grantwell.config import Settings
from grantwell.errors import ClientMetadataError
from grantwell.records import AuthMethod, Client, ClientSecret, Digest
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

URI = "https://c1.test/cb"
METHOD = "token_endpoint_auth_method"
METHODS = "token_endpoint_auth_methods_supported"


def refusal(settings: Settings, **members: Any) -> ClientMetadataError:
    with pytest.raises(ClientMetadataError) as caught:
        parse_client_metadata({"redirect_uris": [URI], **members}, settings)
    assert caught.value.status == 400
    return caught.value


def accepted(settings: Settings, **members: Any) -> ClientMetadata:
    return parse_client_metadata({"redirect_uris": [URI], **members}, settings)


def registered(**changes: Any) -> Client:
    values: dict[str, Any] = {
        "client_id": "c" * 32,
        "origin": "registration",
        "name": None,
        "redirect_uris": (URI,),
        "grant_types": ("authorization_code",),
        "response_types": ("code",),
        "token_endpoint_auth_method": "client_secret_basic",
        "scopes": None,
        "metadata": {},
        "secrets": (ClientSecret(digest=Digest(b"s" * 32), expires_at=None),),
        "created_at": 1_700_000_000,
        "last_used_at": None,
        "version": 1,
        "mac": b"m" * 32,
    }
    return Client(**(values | changes))


@requirement("S-396", "A-096", "C-048")
def test_the_defaults_are_those_of_rfc_7591(settings: Settings) -> None:
    assert accepted(settings) == ClientMetadata(
        name=None,
        redirect_uris=(URI,),
        grant_types=("authorization_code",),
        response_types=("code",),
        token_endpoint_auth_method="client_secret_basic",
        scopes=None,
        metadata={},
        jwks=None,
        jwks_uri=None,
        introspects=(),
    )


@requirement("S-409", "S-391", "S-392", "A-111", "A-113")
def test_the_example_of_rfc_7591_registers_and_only_what_people_read_is_kept(settings: Settings) -> None:
    document = {
        "redirect_uris": ["https://client.example.org/callback", "https://client.example.org/callback2"],
        "client_name": "My Example Client",
        "client_name#ja-Jpan-JP": "\u30af\u30e9\u30a4\u30a2\u30f3\u30c8\u540d",
        "token_endpoint_auth_method": "client_secret_basic",
        "logo_uri": "https://client.example.org/logo.png",
        "jwks_uri": "https://client.example.org/my_public_keys.jwks",
        "example_extension_parameter": "example_value",
    }
    parsed = parse_client_metadata(document, settings)
    assert parsed.name == "My Example Client"
    assert parsed.redirect_uris == ("https://client.example.org/callback", "https://client.example.org/callback2")
    assert parsed.metadata == {
        "logo_uri": "https://client.example.org/logo.png",
        "client_name#ja-Jpan-JP": "\u30af\u30e9\u30a4\u30a2\u30f3\u30c8\u540d",
    }


@requirement("A-093", "S-403", "S-392", "S-400", "A-112")
def test_what_a_client_may_not_set_leaves_no_trace(settings: Settings) -> None:
    names = ["client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at", "trusted", "first_party"]
    names += ["skip_consent", "is_admin", "owner", "user_id", "created_at", "disabled", "id", "__class__", "origin"]
    names += ["software_statement", "registration_client_uri", "registration_access_token", "mac", "secrets"]
    assert accepted(settings, **dict.fromkeys(names, "eyJhbGciOiJub25lIn0.e30.")) == accepted(settings)


@requirement("A-026", "A-027", "S-393")
@pytest.mark.parametrize(
    "uris",
    [
        URI,
        [],
        (),
        None,
        {},
        {"0": URI},
        1,
        True,
        [None],
        [1],
        [True],
        [{}],
        [[URI]],
        [URI, 1],
        [""],
        [f"{URI}/{number}" for number in range(21)],
        [URI] * 300,
        ["https://c1.test/" + "a" * 65_536],
    ],
)
def test_redirect_uris_must_be_a_short_array_of_uris(uris: object, settings: Settings) -> None:
    assert refusal(settings, redirect_uris=uris).code == "invalid_redirect_uri"


@requirement("S-393", "S-394", "A-014")
def test_redirect_uris_are_required_and_each_is_checked(settings: Settings) -> None:
    with pytest.raises(ClientMetadataError) as caught:
        parse_client_metadata({}, settings)
    assert caught.value.code == "invalid_redirect_uri"
    assert refusal(settings, redirect_uris=[URI, "javascript:alert(1)"]).code == "invalid_redirect_uri"
    assert accepted(settings, redirect_uris=[URI, "http://localhost/", URI]).redirect_uris == (URI, "http://localhost/")


@requirement("S-405")
def test_the_application_type_restricts_nothing_and_is_kept_where_it_is_known(settings: Settings) -> None:
    for kind in ("native", "web"):
        parsed = accepted(settings, application_type=kind, redirect_uris=["http://127.0.0.1/cb"])
        assert parsed.metadata == {"application_type": kind}
    assert accepted(settings, application_type="mobile").metadata == {}


@requirement("A-095", "S-397", "C-049")
@pytest.mark.parametrize(
    ("wanted", "granted"),
    [
        (["authorization_code"], ("authorization_code",)),
        (["refresh_token", "authorization_code"], ("refresh_token", "authorization_code")),
        (["authorization_code", "authorization_code"], ("authorization_code",)),
        (["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"], ("authorization_code",)),
        (["implicit", "authorization_code", "password", "refresh_token"], ("authorization_code", "refresh_token")),
    ],
)
def test_grant_types_are_narrowed_and_never_added(
    wanted: list[str], granted: tuple[str, ...], settings: Settings
) -> None:
    assert accepted(settings, grant_types=wanted).grant_types == granted


@requirement("A-095", "S-397", "S-033", "C-050")
@pytest.mark.parametrize(
    "members",
    [
        *({"grant_types": [kind]} for kind in ("client_credentials", "password", "implicit", "refresh_token", "")),
        {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "response_types": []},
        {"grant_types": ["implicit"], "response_types": ["token"]},
        {"grant_types": ["refresh_token"], "response_types": []},
        {"grant_types": []},
        {"response_types": []},
        {"response_types": ["token"]},
        {"response_types": ["code token", "none", "CODE"]},
        {"grant_types": ["Authorization_Code"]},
    ],
)
def test_a_client_that_could_not_use_the_code_flow_is_refused(members: dict[str, Any], settings: Settings) -> None:
    assert refusal(settings, **members).code == "invalid_client_metadata"


@requirement("S-397", "C-049")
def test_response_types_are_narrowed(settings: Settings) -> None:
    assert accepted(settings, response_types=["code", "token", "code id_token"]).response_types == ("code",)


@requirement("A-096", "C-051", "S-404", "S-454", "S-411")
@pytest.mark.parametrize(
    ("members", "method"),
    [
        ({}, "client_secret_basic"),
        ({METHOD: "none"}, "none"),
        ({METHOD: "client_secret_post"}, "client_secret_post"),
        ({METHOD: "client_secret_basic"}, "client_secret_basic"),
        ({METHOD: "none", METHODS: ["client_secret_basic", "none"]}, "none"),
        ({METHOD: "private_key_jwt", METHODS: ["none", "private_key_jwt", "client_secret_post"]}, "client_secret_post"),
        ({METHODS: ["none", "client_secret_post"]}, "client_secret_post"),
        ({METHODS: ["private_key_jwt", "none"]}, "none"),
        ({METHOD: "none", "token_endpoint_auth_signing_alg": "RS256"}, "none"),
        ({"token_endpoint_auth_signing_alg_values_supported": ["RS256"]}, "client_secret_basic"),
    ],
)
def test_the_authentication_method_is_negotiated(
    members: dict[str, Any], method: AuthMethod, settings: Settings
) -> None:
    parsed = accepted(settings, **members)
    assert parsed.token_endpoint_auth_method == method
    assert parsed.metadata == {}


@requirement("A-097", "C-051", "S-411", "C-052")
@pytest.mark.parametrize(
    "members",
    [
        *(
            {METHOD: value}
            for value in ("private_key_jwt", "client_secret_jwt", "tls_client_auth", "", None, 7, "None", ["none"])
        ),
        {METHODS: []},
        {METHODS: ["private_key_jwt"]},
        {METHODS: "none"},
        {METHODS: None},
        {METHOD: "none", METHODS: ["client_secret_basic"]},
        {METHOD: "private_key_jwt", METHODS: ["private_key_jwt"]},
        {"token_endpoint_auth_signing_alg": None},
        {"token_endpoint_auth_signing_alg_values_supported": [1]},
        {"token_endpoint_auth_signing_alg": "RS256", "token_endpoint_auth_signing_alg_values_supported": ["ES256"]},
    ],
)
def test_an_authentication_method_that_the_server_has_not_is_refused(
    members: dict[str, Any], settings: Settings
) -> None:
    assert refusal(settings, **members).code == "invalid_client_metadata"


@requirement("A-094", "S-408", "S-147")
@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("read", ("read",)),
        ("write read", ("write", "read")),
        ("read admin *", ("read",)),
        ("offline_access read read", ("read",)),
        ("offline_access", None),
        ("", None),
    ],
)
def test_scopes_are_cut_to_those_the_server_has(scope: str, scopes: tuple[str, ...] | None, settings: Settings) -> None:
    assert accepted(settings, scope=scope).scopes == scopes


@requirement("A-094", "S-146", "A-214")
@pytest.mark.parametrize(
    "scope", ["admin", "*", "Read", " read", "read  write", "read\twrite", 'r"', "x" * 65_536, None, 1, ["read"]]
)
def test_a_scope_that_is_malformed_or_unknown_altogether_is_refused(scope: object, settings: Settings) -> None:
    assert refusal(settings, scope=scope).code == "invalid_client_metadata"


@requirement("A-094")
def test_on_a_server_without_scopes_a_scope_is_no_reason_to_refuse_and_grants_nothing(bare_settings: Settings) -> None:
    assert accepted(bare_settings, scope="openid profile").scopes == ()


TYPED = ["client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri", "software_id", "software_version"]
TYPED += ["application_type", "contacts", "grant_types", "response_types", "jwks", "jwks_uri", METHOD, METHODS, "scope"]
TYPED += ["token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported"]
TYPED += ["client_name#de", "logo_uri#de"]


@requirement("A-097", "S-399", "C-046")
@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("value", [None, 7, True, {}, [None], [[]]])
def test_a_member_of_the_wrong_type_is_refused(name: str, value: object, settings: Settings) -> None:
    assert refusal(settings, **{name: value}).code == "invalid_client_metadata"


@requirement("A-101")
@pytest.mark.parametrize(
    "name",
    [
        "\u202eevil",
        "a\u2066b",
        "a\u200bb",
        "a\u200d",
        "a\ufeffb",
        "a\u00adb",
        "\x1b[31mred",
        "a\nb",
        "a\tb",
        "a\0b",
        "a\x7f",
        "a\x85",
        "a\u2028b",
        "\ud800",
        "\ue000",
        "\U000e0041",
        "x" * 101,
        "x" * 10_000,
        "a\u061cb",
        "a\u2060b",
    ],
)
def test_a_name_that_could_disguise_itself_is_refused(name: str, settings: Settings) -> None:
    for member in ("client_name", "client_name#de"):
        assert refusal(settings, **{member: name}).code == "invalid_client_metadata"


@requirement("A-101")
@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{7*7}}", "${x}", "Claude", "Łódź 東京 😀", "x" * 100])
def test_a_name_of_visible_characters_is_kept_as_it_is(name: str, settings: Settings) -> None:
    parsed = accepted(settings, **{"client_name": name, "client_name#de-CH": name})
    assert parsed.name == name
    assert parsed.metadata == {"client_name#de-CH": name}


@requirement("A-101")
@pytest.mark.parametrize("name", ["", " ", " \u3000\u00a0 ", "\u3164", "\u2800\u115f"])
def test_a_name_of_which_nothing_can_be_seen_is_no_name(name: str, settings: Settings) -> None:
    parsed = accepted(settings, **{"client_name": name, "client_name#de": name})
    assert parsed.name is None
    assert parsed.metadata == {}


@requirement("A-098", "S-401", "C-047")
@pytest.mark.parametrize("member", ["client_uri", "logo_uri", "tos_uri", "policy_uri", "logo_uri#ja"])
@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "http://169.254.169.254/",
        "http://localhost/",
        "http://c1.test/",
        "/x",
        "c1.test",
        "//c1.test",
        "https://",
        "https://u@c1.test/",
        "https://c1.test/\n",
        "https://c1.test/ü",
        "x" * 4_000,
        7,
        "https://c1.test\\@evil.test/",
        " https://c1.test/",
    ],
)
def test_links_must_be_https(member: str, value: object, settings: Settings) -> None:
    assert refusal(settings, **{member: value}).code == "invalid_client_metadata"


@requirement("A-113", "S-409", "C-057")
def test_translations_are_kept_with_the_case_of_their_tag_and_others_are_unknown_members(settings: Settings) -> None:
    members = {"client_name#JA-jpan": "x", "logo_uri#de": "https://c1.test/de.png", "tos_uri#fr": ""}
    ignored = {
        "client_name#": "a\0",
        "#ja": "x",
        "redirect_uris#fr": ["javascript:"],
        "contacts#de": 1,
        "client_name#<b>": "\n",
    }
    ignored |= {
        "client_name#a#b": "x",
        "client_name##": "x",
        "client_id#de": "x",
        "client_name#" + "a-" * 99 + "a": "x",
    }
    assert accepted(settings, **members, **ignored).metadata == {
        "client_name#JA-jpan": "x",
        "logo_uri#de": "https://c1.test/de.png",
    }


@requirement("A-113", "A-105")
def test_translations_have_a_limit(settings: Settings) -> None:
    assert len(accepted(settings, **{f"client_name#x{n}": "x" for n in range(32)}).metadata) == 32
    assert refusal(settings, **{f"client_name#x{n}": "x" for n in range(33)}).code == "invalid_client_metadata"


@requirement("S-391", "A-111")
def test_contacts_links_and_software_are_kept_and_empty_ones_dropped(settings: Settings) -> None:
    members = {
        "client_uri": "https://c1.test/",
        "logo_uri": "HTTPS://C1.test/l.png",
        "tos_uri": "https://c1.test/legal#tos",
        "policy_uri": "https://c1.test/p?x=1",
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "2.2",
        "contacts": ["ops@c1.test", "+1 555"],
    }
    assert accepted(settings, **members).metadata == members
    empty = {"client_uri": "", "tos_uri": "", "software_id": "", "contacts": [""], "application_type": ""}
    assert accepted(settings, **empty).metadata == {}


@requirement("A-105", "A-027")
def test_the_limits_themselves_are_allowed(settings: Settings) -> None:
    parsed = accepted(
        settings,
        redirect_uris=[f"{URI}/{number}" for number in range(20)],
        grant_types=["authorization_code"] * 32,
        contacts=["x" * 255] * 10,
        software_id="x" * 255,
    )
    assert len(parsed.redirect_uris) == 20
    assert parsed.metadata == {"contacts": ["x" * 255] * 10, "software_id": "x" * 255}


@requirement("A-105", "A-101")
@pytest.mark.parametrize(
    "members",
    [
        *({"software_id": value} for value in ("x" * 256, "a\nb", "a\u202eb")),
        *({"contacts": value} for value in (["x"] * 11, ["x" * 256], ["a\0"], "ops@c1.test", [1])),
        *({name: ["x"] * 33} for name in ("grant_types", "response_types", METHODS)),
        {"application_type": "x" * 256},
    ],
)
def test_every_member_has_a_limit(members: dict[str, Any], settings: Settings) -> None:
    assert refusal(settings, **members).code == "invalid_client_metadata"


@requirement("A-100", "S-398")
@pytest.mark.parametrize(
    "members",
    [
        {"jwks": {"keys": []}, "jwks_uri": "https://c1.test/jwks"},
        {"jwks_uri": "http://c1.test/jwks"},
        {"jwks_uri": "http://127.0.0.1/jwks"},
        {"jwks_uri": ""},
        {"jwks": []},
        {"jwks": {}},
        {"jwks": {"keys": {}}},
        {"jwks": {"keys": [1]}},
        {"jwks": {"keys": [{}] * 21}},
        {"jwks": {"keys": [{}] * 500}},
        {"jwks": {"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "x"}]}},
        {"jwks": {"keys": [{"kty": "EC"}, {"kty": "oct"}]}},
        {"jwks": {"keys": [{"kty": "RSA", "p": None}]}},
        {"jwks": {"keys": [{"k": "c2VjcmV0"}]}},
    ],
)
def test_keys_that_are_private_or_malformed_are_refused(members: dict[str, Any], settings: Settings) -> None:
    assert refusal(settings, **members).code == "invalid_client_metadata"


@requirement("S-398")
def test_public_keys_are_tolerated_and_not_kept(settings: Settings) -> None:
    assert (
        accepted(settings, jwks={"keys": [{"kty": "EC", "x": "x", "y": "y"}, {"kty": "RSA", "n": "x"}]}).metadata == {}
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["none", "code", "authorization_code", URI, "read"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["keys", "kty", "d"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=4,
)


@requirement("S-022", "A-103", "A-165")
@given(
    document=st.dictionaries(
        st.sampled_from([*TYPED, "redirect_uris", "client_name#x", "#"]) | st.text(), JSON, max_size=5
    )
)
@hypothesis_settings(max_examples=300)
def test_any_document_is_accepted_or_refused_with_the_documented_error(
    document: dict[str, Any], settings: Settings
) -> None:
    for wanted in (document, document | {"redirect_uris": [URI]}):
        parsed, error = attempt(ClientMetadataError, partial(parse_client_metadata, wanted, settings))
        if error is not None:
            assert error.code in ("invalid_client_metadata", "invalid_redirect_uri")
            assert "?" not in error.description
        if parsed is not None:
            assert parsed.redirect_uris
            assert set(parsed.grant_types) <= {"authorization_code", "refresh_token"}
            assert set(parsed.scopes or ()) <= set(settings.scopes)


@requirement("S-391", "S-014", "S-390", "S-405")
def test_a_client_is_described_without_its_secrets_and_without_empty_members() -> None:
    assert client_document(registered()) == {
        "client_id": "c" * 32,
        "client_id_issued_at": 1_700_000_000,
        "redirect_uris": [URI],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


@requirement("S-391", "S-408", "A-111", "C-053")
def test_a_client_is_described_with_all_that_was_registered() -> None:
    metadata = {"logo_uri": "https://c1.test/l.png", "contacts": ["ops@c1.test"], "client_name#de": "Uhr"}
    document = client_document(registered(name="Clock", scopes=("read", "write"), metadata=metadata, created_at=0))
    assert document["client_name"] == "Clock"
    assert document["scope"] == "read write"
    assert document["client_id_issued_at"] == 0
    assert {name: document[name] for name in metadata} == metadata
    assert "scope" not in client_document(registered(scopes=()))


@requirement("A-093")
def test_no_stored_member_can_pass_for_one_of_the_server() -> None:
    document = client_document(registered(metadata={"client_id": "evil", "redirect_uris": ["https://evil.test/"]}))
    assert document["client_id"] == "c" * 32
    assert document["redirect_uris"] == [URI]


@requirement("A-111", "S-391")
def test_what_is_answered_registers_again_to_the_same(settings: Settings) -> None:
    first = accepted(
        settings, client_name="Clock", scope="read", contacts=["a@c1.test"], **{"client_name#de": "Uhr", METHOD: "none"}
    )
    client = registered(
        name=first.name,
        redirect_uris=first.redirect_uris,
        grant_types=first.grant_types,
        token_endpoint_auth_method=first.token_endpoint_auth_method,
        scopes=first.scopes,
        metadata=first.metadata,
    )
    assert parse_client_metadata(client_document(client), settings) == first
