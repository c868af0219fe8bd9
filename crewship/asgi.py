"""The ASGI application that ``crewship start`` serves with uvicorn."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
application = get_asgi_application()
