"""Default pages for signing in and for consent, for an `OAuthProvider` whose application brings none of its own.

    from grantwell.signin import SignIn

    app = OAuthProvider(..., store=store, secret_key=key, default_handler=SignIn(store, key))

`SQLStore` and `MemoryStore` are the account store too. `Accounts` adds and changes the people who can sign in;
`Branding` is how the pages look and what they say.
"""

from .accounts import Accounts
from .app import SignIn
from .branding import Branding

__all__ = ["Accounts", "Branding", "SignIn"]
