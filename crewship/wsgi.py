"""The WSGI application, for operators who bring their own server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
application = get_wsgi_application()
