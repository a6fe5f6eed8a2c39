"""JavaScript's OAuth and MCP clients, each with all of its own checks on: they accept what this server says."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from grantwell import SecretKey
from grantwell_storage import SQLStore
from tests.cli.processes import DEMO_PASSWORD, Demo, demo_server, environment
from tests.interop.documents import published
from tests.interop.javascript import Facts, Node, install
from tests.interop.person import Person, parameters_of
from tests.interop.secure_app import LOOPBACK, USER, make_provider
from tests.interop.tls import HOST, Certificates, make_certificates

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

ROOT = Path(__file__).resolve().parent.parent.parent
REDIRECT = "https://client.example/callback"
MCP_REDIRECT = "http://127.0.0.1:33418/mcp"

SECRETS = ["client_secret_basic", "client_secret_post"]
KEYS = [f"private_key_jwt:{algorithm}" for algorithm in ("ES256", "PS256", "RS256", "Ed25519")]
FIRST, SECOND = "@modelcontextprotocol/sdk", "@modelcontextprotocol/client"

each_library = pytest.mark.parametrize("library", ["oauth4webapi", "openid-client"])
each_method = pytest.mark.parametrize("method", ["none", *SECRETS, *KEYS])
each_credential = pytest.mark.parametrize("method", [*SECRETS, "private_key_jwt:ES256"])
each_generation = pytest.mark.parametrize("sdk", [pytest.param(FIRST, id="first"), pytest.param(SECOND, id="second")])
each_mode = pytest.mark.parametrize(
    ("sdk", "mode"),
    [
        pytest.param(FIRST, "", id="first"),
        pytest.param(SECOND, "legacy", id="second-legacy"),
        pytest.param(SECOND, "auto", id="second-auto"),
        pytest.param(SECOND, "2026-07-28", id="second-2026-07-28"),
    ],
)


class Credentials:
    """What a client that does not register itself knows: its id, and a secret or a private key."""

    def __init__(self, method: str) -> None:
        self.method, _, self.algorithm = method.partition(":")
        self.client_id = self.secret = ""
        self._key = ECKey.generate_key("P-256", {"kid": "one"}) if self.algorithm else None

    @property
    def metadata(self) -> dict[str, Any]:
        """What is registered of it."""
        metadata: dict[str, Any] = {"token_endpoint_auth_method": self.method}
        return metadata | ({"jwks": {"keys": [self._key.as_dict(private=False)]}} if self._key else {})

    def settings(self, name: str) -> dict[str, str]:
        """What a script is told of a client that it calls by this name."""
        key = {f"{name}_KEY": json.dumps(self._key.as_dict(private=True))} if self._key else {}
        return {f"{name}_ID": self.client_id, f"{name}_SECRET": self.secret} | key


@dataclass(frozen=True)
class SecureServer:
    """The server of `tests.interop.secure_app`, being served."""

    issuer: str
    folder: Path
    certificates: Certificates

    def settings(self, method: str = "none", algorithm: str = "oauth2") -> dict[str, str]:
        """What a script is told: `algorithm` says where it looks for the metadata of the server."""
        return {
            "ISSUER": self.issuer,
            "RESOURCE": f"{self.issuer}/api",
            "OTHER": f"{self.issuer}/other",
            "REDIRECT": REDIRECT,
            "METHOD": method.partition(":")[0],
            "KEY_ALGORITHM": method.partition(":")[2],
            "ALGORITHM": algorithm,
            "NODE_EXTRA_CA_CERTS": str(self.certificates.authority),
        }

    def somebody(self) -> Person:
        """The user of the server, with a new browser that trusts its certificate."""
        transport = httpx.AsyncHTTPTransport(verify=self.certificates.client_context())
        return Person(USER, DEMO_PASSWORD, transport=transport)

    async def client(self, method: str, **metadata: Any) -> Credentials:
        """Make a client, as an operator does beside a server that runs."""
        return await operator_client(self.folder, self.issuer, method, **metadata)

    def metadata_url(self, prefix: str) -> str:
        """Where the metadata of a resource is: the well-known string stands between host and path."""
        url = httpx.URL(self.issuer + prefix)
        return str(url.copy_with(path=f"/.well-known/oauth-protected-resource{url.path}"))


async def operator_client(folder: Path, issuer: str, method: str, **metadata: Any) -> Credentials:
    """A client of the server whose database and key are in the folder, made in this process."""
    credentials = Credentials(method)
    store = SQLStore(f"sqlite+aiosqlite:///{folder / 'grantwell.db'}")
    provider = make_provider(store, SecretKey.file(folder / "grantwell.key"), issuer)
    async with provider.running():
        made, secret = await provider.helpers.create_client(credentials.metadata | metadata)
    credentials.client_id, credentials.secret = made.client_id, secret or ""
    return credentials


@contextmanager
def secure_server(folder: Path, path: str = "") -> Iterator[SecureServer]:
    """Serve an issuer with this path, over TLS on a free port, while the body runs."""
    certificates = make_certificates(folder)
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "stderr.txt").open("w") as stderr:
        origin = f"https://{HOST}:{listening.getsockname()[1]}"
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.secure_app", str(folder), str(descriptor), path],
            pass_fds=[descriptor],
            cwd=ROOT,
            env=environment(SSL_CERT_FILE=str(certificates.authority)),
            stderr=stderr,
        )
    try:
        # The socket listens already: the first request waits until the process answers, and fails if it dies.
        try:
            with httpx.Client(verify=certificates.client_context(), timeout=60) as http:
                http.get(f"{origin}/.well-known/oauth-authorization-server{path}").raise_for_status()
        except httpx.HTTPError as error:
            raise RuntimeError(f"the server did not start:\n{(folder / 'stderr.txt').read_text()}") from error
        yield SecureServer(origin + path, folder, certificates)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """The scripts with their libraries, installed once."""
    return install(tmp_path_factory.mktemp("javascript"))


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[SecureServer]:
    """One server over TLS for all tests of this file."""
    with secure_server(tmp_path_factory.mktemp("secure")) as server:
        yield server


@pytest.fixture(scope="session")
def tenant(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[SecureServer]:
    """Another one, whose issuer has a path."""
    with secure_server(tmp_path_factory.mktemp("tenant"), "/tenants/one") as server:
        yield server


@pytest.fixture
async def somebody(secure: SecureServer) -> AsyncIterator[Person]:
    """The user of the server, with a new browser."""
    async with secure.somebody() as person:
        yield person


def challenge_in(refusal: Facts) -> dict[str, Any]:
    """The status and the one challenge of a refusal, as the library read it; its description is for people."""
    assert refusal["class"] == "WWWAuthenticateChallengeError"
    (challenge,) = refusal["challenges"]
    described = challenge["parameters"].pop("error_description", None)
    assert (described is None) == ("error" not in challenge["parameters"])
    parameters: dict[str, Any] = challenge["parameters"]
    return {"status": refusal["status"], "scheme": challenge["scheme"]} | parameters


@requirement("S-025", "S-035", "S-038", "S-043", "S-140", "S-173", "S-201", "S-211", "S-212", "S-213", "G-326")
@requirement("S-113", "S-125", "S-247", "S-252", "S-322")
@each_method
@each_library
async def test_a_library_goes_from_discovery_to_a_token_that_is_dead(
    node: Node, secure: SecureServer, somebody: Person, library: str, method: str
) -> None:
    facts = await node.run(library, "tokens", somebody, **secure.settings(method))
    assert facts["iss"] == secure.issuer
    assert (facts["first"]["token_type"], facts["first"]["expires_in"]) == ("bearer", 3600)
    assert facts["first"]["scope"] == "read write"
    assert facts["called_again"]["grant"] == facts["called"]["grant"]
    assert (facts["called"]["user"], facts["called"]["client"]) == (USER, facts["client_id"])
    assert (facts["called"]["scopes"], facts["narrow"]["scopes"]) == (["read", "write"], ["read"])
    assert facts["called"]["audience"] == [f"{secure.issuer}/api"]
    assert facts["rotated"] == 3
    # One access token is revoked, then the refresh token, which is the grant.
    assert facts["still_good"] == facts["narrow"]
    assert (facts["no_refresh"]["class"], facts["no_refresh"]["error"]) == ("ResponseBodyError", "invalid_grant")
    invalid = {"status": 401, "scheme": "bearer", "error": "invalid_token", "scope": "read write"}
    here, there = secure.metadata_url("/api"), secure.metadata_url("/other")
    for name, metadata_url in {"invalid": here, "elsewhere": there, "revoked": here, "ended": here}.items():
        assert challenge_in(facts[name]) == invalid | {"resource_metadata": metadata_url}, name
    step_up = {"status": 403, "scheme": "bearer", "error": "insufficient_scope", "scope": "write"}
    assert challenge_in(facts["without_scope"]) == step_up | {"resource_metadata": here}


@requirement("S-066", "S-067", "S-069", "S-071", "S-097", "S-098", "S-099")
async def test_a_library_finds_the_server_from_a_challenge_alone(
    node: Node, secure: SecureServer, somebody: Person
) -> None:
    facts = await node.run("oauth4webapi", "tokens", somebody, **secure.settings())
    bare = {"status": 401, "scheme": "bearer", "scope": "read write"}
    assert challenge_in(facts["anonymous"]) == bare | {"resource_metadata": secure.metadata_url("/api")}
    assert facts["resource"]["resource"] == f"{secure.issuer}/api"
    assert facts["resource"]["authorization_servers"] == [secure.issuer]


@requirement("S-026", "S-027", "S-029", "S-043", "S-067", "S-069", "S-173")
@pytest.mark.parametrize(
    ("has_path", "algorithm"),
    [
        pytest.param(False, "oidc", id="root-oidc"),
        pytest.param(True, "oauth2", id="path-oauth2"),
        pytest.param(True, "oidc", id="path-oidc"),
    ],
)
@each_library
async def test_a_library_finds_the_metadata_wherever_it_looks(
    node: Node, secure: SecureServer, tenant: SecureServer, library: str, has_path: bool, algorithm: str
) -> None:
    server = tenant if has_path else secure
    async with server.somebody() as person:
        facts = await node.run(library, "tokens", person, **server.settings(algorithm=algorithm))
    assert facts["iss"] == server.issuer
    assert facts["called"]["audience"] == [f"{server.issuer}/api"]
    assert challenge_in(facts["invalid"])["resource_metadata"] == server.metadata_url("/api")


@requirement("S-173", "S-175")
@each_library
async def test_a_library_reads_a_denial(node: Node, secure: SecureServer, somebody: Person, library: str) -> None:
    refused = await node.run(library, "denied", somebody, **secure.settings())
    assert (refused["class"], refused["error"]) == ("AuthorizationResponseError", "access_denied")


@requirement("S-205", "S-234", "S-243", "A-044")
@each_library
async def test_a_library_that_lost_its_verifier_reads_why_and_the_right_one_still_works(
    node: Node, secure: SecureServer, somebody: Person, library: str
) -> None:
    refused = await node.run(library, "wrong_verifier", somebody, **secure.settings())
    assert (refused["class"], refused["status"], refused["error"]) == ("ResponseBodyError", 400, "invalid_grant")
    assert refused["afterwards"]["user"] == USER


@requirement("S-205", "S-231", "S-240")
@each_library
async def test_a_library_that_sends_a_code_again_reads_why(
    node: Node, secure: SecureServer, somebody: Person, library: str
) -> None:
    refused = await node.run(library, "replayed_code", somebody, **secure.settings())
    assert (refused["class"], refused["status"], refused["error"]) == ("ResponseBodyError", 400, "invalid_grant")


@requirement("S-205", "S-214", "S-243", "A-076")
@each_credential
@each_library
async def test_a_library_with_a_wrong_credential_reads_why_and_the_right_one_still_works(
    node: Node, secure: SecureServer, somebody: Person, library: str, method: str
) -> None:
    refused = await node.run(library, "wrong_secret", somebody, **secure.settings(method))
    if method == "client_secret_basic":
        assert challenge_in(refused) == {"status": 401, "scheme": "basic", "realm": "OAuth", "charset": "UTF-8"}
    else:
        assert (refused["class"], refused["status"], refused["error"]) == ("ResponseBodyError", 401, "invalid_client")
    assert refused["afterwards"]["user"] == USER


@requirement("S-201", "S-211", "S-212", "S-219", "S-222", "S-262", "S-264", "S-267")
@each_credential
@each_library
async def test_a_library_acts_for_a_client_itself(
    node: Node, secure: SecureServer, somebody: Person, library: str, method: str
) -> None:
    client = await secure.client(method, grant_types=["client_credentials"])
    settings = secure.settings(method) | client.settings("CLIENT")
    facts = await node.run(library, "client_credentials", somebody, **settings)
    assert "refresh_token" not in facts["token"]
    assert (facts["called"]["user"], facts["called"]["client"]) == (None, client.client_id)
    assert (facts["called"]["scopes"], facts["called"]["audience"]) == (["read"], [f"{secure.issuer}/api"])
    assert challenge_in(facts["revoked"])["error"] == "invalid_token"


@requirement("S-228", "S-375", "S-378", "S-380", "S-383")
@each_credential
@each_library
async def test_a_library_introspects_for_a_resource(
    node: Node, secure: SecureServer, somebody: Person, library: str, method: str
) -> None:
    metadata = {"grant_types": ["client_credentials"], "introspects": [f"{secure.issuer}/api"]}
    guard = await secure.client(method, **metadata)
    facts = await node.run(library, "introspection", somebody, **secure.settings(method), **guard.settings("GUARD"))
    live = facts["live"]
    assert live["active"] is True
    assert (live["client_id"], live["scope"], live["iss"]) == (facts["client_id"], "read write", secure.issuer)
    assert (live["sub"], live["aud"], live["token_type"]) == (USER, f"{secure.issuer}/api", "Bearer")
    assert facts["revoked"] == {"active": False}


@requirement("S-044", "S-422", "S-424", "S-428", "S-429", "S-442")
@pytest.mark.parametrize("method", ["none", "private_key_jwt:ES256"])
@each_library
async def test_a_library_is_known_by_its_metadata_document(
    node: Node, secure: SecureServer, somebody: Person, library: str, method: str
) -> None:
    client = Credentials(method)
    async with published(secure.certificates) as site:
        client.client_id = f"{site.origin}/client.json"
        members = {"client_id": client.client_id, "client_name": "A document", "redirect_uris": [REDIRECT]}
        grant_types = ["authorization_code", "refresh_token"]
        site.publish("/client.json", members | client.metadata | {"grant_types": grant_types})
        settings = secure.settings(method) | client.settings("CLIENT")
        facts = await node.run(library, "tokens", somebody, **settings)
    assert facts["called"]["client"] == client.client_id
    assert facts["rotated"] == 3
    assert facts["no_refresh"]["error"] == "invalid_grant"


def mcp_settings(demo: Demo, sdk: str, mode: str = "", method: str = "none") -> dict[str, str]:
    """What the script of the MCP SDK is told; a method "" leaves the choice to the server."""
    return {"SERVER": f"{demo.url}/mcp", "REDIRECT": MCP_REDIRECT, "SDK": sdk, "MODE": mode, "METHOD": method}


@requirement("S-066", "S-098", "S-099", "S-173", "S-259", "S-322", "S-410", "G-327")
@each_mode
async def test_the_typescript_sdk_comes_from_the_401_to_its_tools(
    node: Node, demo: Demo, person: Person, sdk: str, mode: str
) -> None:
    facts = await node.run("mcp", "tools", person, **mcp_settings(demo, sdk, mode))
    assert set(facts["tools"]) == {"whoami", "add_note"}
    assert not facts["note"].get("isError")
    client = facts["kept"]["client"]
    assert client["client_id"]
    assert client["issuer"] == demo.url
    assert (facts["who"]["user"], facts["who"]["client"]) == ("demo", client["client_id"])
    assert facts["who"]["audience"] == [f"{demo.url}/mcp"]
    assert set(facts["who"]["scopes"]) == {"mcp:use", "notes:write"}
    (opened,) = facts["opened"]
    assert opened["resource"] == f"{demo.url}/mcp"
    assert parameters_of(facts["arrived"])["iss"] == demo.url
    # An access token that ended is replaced by the refresh token, and nobody is asked.
    assert facts["who_again"]["grant"] == facts["who"]["grant"]
    assert facts["rotated"]


@requirement("S-211", "S-212", "S-213", "S-396", "S-410")
@pytest.mark.parametrize(
    ("method", "registered"),
    [
        pytest.param("client_secret_basic", "client_secret_basic", id="basic"),
        pytest.param("client_secret_post", "client_secret_post", id="post"),
        pytest.param("", "client_secret_basic", id="unsaid"),
    ],
)
@each_generation
async def test_the_typescript_sdk_authenticates_as_it_was_registered(
    node: Node, demo: Demo, person: Person, sdk: str, method: str, registered: str
) -> None:
    facts = await node.run("mcp", "tools", person, **mcp_settings(demo, sdk, method=method))
    assert facts["kept"]["client"]["token_endpoint_auth_method"] == registered
    assert facts["kept"]["client"]["client_secret"]
    assert facts["rotated"]


@requirement("S-102", "S-103", "S-252")
@pytest.mark.parametrize(
    ("sdk", "asked"),
    [
        pytest.param(FIRST, 1, id="first-refreshes"),
        pytest.param(SECOND, 2, id="second-asks-the-person-again"),
    ],
)
async def test_the_typescript_sdk_gets_the_scope_that_a_403_asks_for(
    node: Node, demo: Demo, person: Person, sdk: str, asked: int
) -> None:
    facts = await node.run("mcp", "step_up", person, **mcp_settings(demo, sdk))
    assert set(facts["who"]["scopes"]) == {"mcp:use", "notes:write"}
    assert len(facts["opened"]) == asked


@requirement("S-246", "S-254")
@each_generation
async def test_the_typescript_sdk_authorizes_again_once_its_grant_is_revoked(
    node: Node, demo: Demo, person: Person, sdk: str
) -> None:
    settings = mcp_settings(demo, sdk)
    before = await node.run("mcp", "tools", person, **settings)
    demo.run("grants", "revoke", before["who"]["grant"], "--yes")
    after = await node.run("mcp", "resume", person, **settings, KEPT=json.dumps(before["kept"]))
    assert len(after["opened"]) == 1
    assert after["who"]["client"] == before["who"]["client"]
    assert after["who"]["grant"] != before["who"]["grant"]


@requirement("S-246", "S-407")
@each_generation
async def test_the_typescript_sdk_registers_again_once_its_client_is_gone(
    node: Node, demo: Demo, person: Person, sdk: str
) -> None:
    settings = mcp_settings(demo, sdk)
    before = await node.run("mcp", "tools", person, **settings)
    demo.run("clients", "delete", before["who"]["client"], "--yes")
    after = await node.run("mcp", "resume", person, **settings, KEPT=json.dumps(before["kept"]))
    assert len(after["opened"]) == 1
    assert after["who"]["client"] == after["kept"]["client"]["client_id"]
    assert after["who"]["client"] != before["who"]["client"]


@requirement("S-222", "S-264", "S-267", "S-322")
@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt:ES256"])
@each_generation
async def test_the_typescript_sdk_acts_for_a_client_itself(
    node: Node, demo: Demo, person: Person, sdk: str, method: str
) -> None:
    client = await operator_client(demo.folder, demo.url, method, grant_types=["client_credentials"])
    settings = mcp_settings(demo, sdk) | client.settings("CLIENT")
    more = {"ISSUER": demo.url, "KEY_ALGORITHM": client.algorithm}
    facts = await node.run("mcp", "machine", person, **settings, **more)
    assert (facts["who"]["user"], facts["who"]["client"]) == (None, client.client_id)
    assert facts["who"]["audience"] == [f"{demo.url}/mcp"]
    assert set(facts["who"]["scopes"]) == {"mcp:use", "notes:write"}


@pytest.fixture(scope="session")
def documents_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Certificates]]:
    """The demonstration of an operator whose clients publish their metadata on this machine."""
    folder = tmp_path_factory.mktemp("documents")
    certificates = make_certificates(folder)
    networks = {"GRANTWELL_CIMD_ALLOWED_NETWORKS": ",".join(LOOPBACK)}
    with demo_server(folder, SSL_CERT_FILE=str(certificates.authority), **networks) as served:
        yield served, certificates


@requirement("S-044", "S-422", "S-424", "S-428", "S-442")
@each_generation
async def test_the_typescript_sdk_is_known_by_its_metadata_document(
    node: Node, documents_demo: tuple[Demo, Certificates], person: Person, sdk: str
) -> None:
    demo, certificates = documents_demo
    async with published(certificates) as site:
        client_id = f"{site.origin}/client.json"
        document = {
            "client_id": client_id,
            "client_name": "A document",
            "redirect_uris": [MCP_REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        site.publish("/client.json", document)
        settings = mcp_settings(demo, sdk) | {"CLIENT_METADATA_URL": client_id}
        facts = await node.run("mcp", "tools", person, **settings)
        assert site.asked
    assert facts["who"]["client"] == client_id
    assert facts["rotated"]
