"""Makes codes, tokens and client ids in forked processes: `python -m tests.threats.minting FOLDER COUNT`.

Each of the two children writes `COUNT` of each kind to a file of its own in the folder, one on a line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grantwell import SecretKey
from grantwell._flows.clients import new_client
from grantwell._flows.issuance import DataKey, make_access_token, make_code, make_refresh_token
from grantwell._protocol.client_metadata import parse_client_metadata
from grantwell.config import configure
from grantwell.crypto import Keyring
from grantwell.testing.samples import NOW, consent

CHILDREN = 2
KINDS = ("access", "code", "refresh", "client_id")
CHALLENGE = "A" * 43


def mint(folder: Path, count: int) -> None:
    """Write this process's values."""
    keyring = Keyring("https://as.test", SecretKey(b"k" * 32))
    settings = configure(issuer="https://as.test", prefixes=["/api"])
    metadata = parse_client_metadata(
        {"redirect_uris": ["https://c1.test/cb"], "token_endpoint_auth_method": "none"}, settings
    )
    grant = consent(GRANT_ID).grant
    key = DataKey(bytes(32), 1)
    until = NOW + 60
    lines: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for _ in range(count):
        lines["access"].append(
            make_access_token(keyring, grant, key, scopes=(), audience=(), now=NOW, expires_at=until)[0]
        )
        lines["code"].append(make_code(keyring, grant, key, code_challenge=CHALLENGE, now=NOW, expires_at=until)[0])
        lines["refresh"].append(
            make_refresh_token(keyring, grant, key, generation=1, family=bytes(16), now=NOW, expires_at=until)[0]
        )
        lines["client_id"].append(new_client(keyring, metadata, origin="registration", now=NOW)[0].client_id)
    for kind, values in lines.items():
        (folder / f"{kind}-{os.getpid()}").write_text("\n".join(values), encoding="ascii")


GRANT_ID = "A" * 16

if __name__ == "__main__":
    children = []
    for _ in range(CHILDREN):
        child = os.fork()
        if child == 0:
            mint(Path(sys.argv[1]), int(sys.argv[2]))
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
