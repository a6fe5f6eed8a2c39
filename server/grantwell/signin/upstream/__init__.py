"""Sign-in elsewhere: with any OpenID Connect issuer, or with GitHub, in addition to passwords or instead of them.

    from grantwell.signin.upstream import OIDC, GitHub, UpstreamTokens

    upstreams = [OIDC("corp", "https://login.example.com", "grantwell", secret, everybody=True, keep_tokens=True)]
    app = OAuthProvider(
        ...,
        default_handler=SignIn(store, key, upstreams=upstreams, passwords=False),
        token_exchange_callback=UpstreamTokens(upstreams),
    )

People who sign in so are users like others, whose id is `corp:` and what the issuer calls them. With `keep_tokens`
the issuer's tokens are in the props of each grant, as `props["upstream"]`, and `UpstreamTokens` keeps them fresh.
`upstream_from` makes an upstream of a table of settings.
"""

from .configuration import upstream_from
from .github import GitHub
from .oidc import OIDC
from .refreshing import UpstreamTokens
from .upstream import Upstream

__all__ = ["OIDC", "GitHub", "Upstream", "UpstreamTokens", "upstream_from"]
