"""Plain curl through everything, as the start page of the demonstration tells it."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.cli.processes import Demo
from tests.interop.person import CHALLENGE, VERIFIER, Person, parameters_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

JSON = ("-H", "Content-Type: application/json")


def curl(*words: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of what curl got."""
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "20", *words]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    head, _, body = text.partition("\n\n")
    lines = head.splitlines()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, body


def posted(url: str, *fields: str) -> Any:
    """The JSON answer to a form."""
    status, headers, body = curl(url, *(word for field in fields for word in ("-d", field)))
    assert status == 200, body
    assert headers["cache-control"] == "no-store"
    return json.loads(body)


@pytest.mark.requirement("G-322", "S-095", "S-102", "S-125", "S-248", "A-350")
async def test_curl_goes_through_everything(demo: Demo, person: Person) -> None:
    url = demo.url
    status, headers, body = curl(f"{url}/api")
    assert (status, body) == (401, "")
    assert "server" not in headers
    metadata_url = headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    issuer = json.loads(curl(metadata_url)[2])["authorization_servers"][0]
    server = json.loads(curl(f"{issuer}/.well-known/oauth-authorization-server")[2])

    metadata = {"redirect_uris": [f"{url}/callback"], "token_endpoint_auth_method": "none", "scope": "notes:read"}
    metadata["grant_types"] = ["authorization_code", "refresh_token"]
    client = json.loads(curl(server["registration_endpoint"], *JSON, "-d", json.dumps(metadata))[2])["client_id"]

    request = f"?response_type=code&client_id={client}&code_challenge={CHALLENGE}&code_challenge_method=S256&state=s"
    back = await person.answer(server["authorization_endpoint"] + request, f"{url}/callback")
    code = parameters_of(back)["code"]
    status, _, page = curl(back)
    assert (status, code in page) == (200, False), "the page reads the address itself, and no answer repeats it"

    token = server["token_endpoint"]
    first = posted(
        token, "grant_type=authorization_code", f"client_id={client}", f"code={code}", f"code_verifier={VERIFIER}"
    )
    assert first["scope"] == "notes:read"
    bearer = ("-H", f"Authorization: Bearer {first['access_token']}")
    assert json.loads(curl(f"{url}/api/me", *bearer)[2])["props"] == {"username": "demo"}
    status, headers, _ = curl(f"{url}/api/notes", *bearer, *JSON, "-d", '{"text": "no"}')
    assert status == 403
    assert 'error="insufficient_scope"' in headers["www-authenticate"]
    assert 'scope="notes:write"' in headers["www-authenticate"]

    second = posted(token, "grant_type=refresh_token", f"client_id={client}", f"refresh_token={first['refresh_token']}")
    third = posted(token, "grant_type=refresh_token", f"client_id={client}", f"refresh_token={second['refresh_token']}")
    bearer = ("-H", f"Authorization: Bearer {third['access_token']}")
    assert curl(f"{url}/api/notes", *bearer)[0] == 200
    assert (
        curl(server["revocation_endpoint"], "-d", f"client_id={client}", "-d", f"token={third['refresh_token']}")[0]
        == 200
    )
    assert curl(f"{url}/api/notes", *bearer)[0] == 401


@pytest.mark.requirement("G-322", "S-175")
async def test_a_person_may_refuse(demo: Demo, person: Person) -> None:
    made = json.loads(demo.run("clients", "create", "--public", "--redirect-uri", f"{demo.url}/callback", "--json"))
    request = f"?response_type=code&client_id={made['client_id']}&code_challenge={CHALLENGE}&code_challenge_method=S256"
    back = await person.answer(f"{demo.url}/authorize{request}", f"{demo.url}/callback", "deny")
    assert parameters_of(back)["error"] == "access_denied"
    page = curl(back)[2]
    assert "access_denied" in page
    assert VERIFIER not in page
