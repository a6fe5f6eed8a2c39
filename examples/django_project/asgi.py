"""The application that the server runs: Grantwell, and inside of it Django, twice."""

import os

from django.core.asgi import get_asgi_application

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell_storage import SQLStore

from .settings import FOLDER

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_project.settings")

project = get_asgi_application()
app = OAuthProvider(
    issuer=os.environ.get("ISSUER", "http://127.0.0.1:8000"),
    store=SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'django_project.db'}"),
    secret_key=SecretKey.file(FOLDER / "django_project.key"),
    api_handlers={"/api": project},  # below /api with a token
    default_handler=project,  # everything else as it was
    resources={"/api": Resource(scopes={"notes:read": "Read your notes"})},
)
