"""The settings of the project: what Django's login needs, and the middleware that knows the caller of a token."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for trying it out")
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "examples.django_project.views"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "project.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "grantwell.integrations.django.PrincipalMiddleware",
]
# Two templates in place of a folder of them.
_PAGES = {
    "registration/login.html": "<form method=post>{% csrf_token %}{{ form }}<button>Sign in</button></form>",
    "consent.html": "<p>{{ user }}: {{ client }} at {{ host }} wants to use {{ scopes }}.</p>"
    "<form method=post action=/consent>{% csrf_token %}<button>Allow</button></form>",
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", _PAGES)]},
    }
]
