"""Grantwell in front of a Django project, with Django's own login and an access token for what is below /api.

export DJANGO_SETTINGS_MODULE=examples.django_project.settings
python -m django migrate && python -m django createsuperuser
grantwell migrate --database-url sqlite+aiosqlite:///django_project.db
uvicorn examples.django_project.asgi:app
"""
