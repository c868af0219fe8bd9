"""Django's settings. Operators set environment variables; ``options.py`` says which."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from crewship.domain.errors import SettingsError
from crewship.settings import env
from crewship.settings.options import read_options, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent.parent
CREWSHIP = read_options(BASE_DIR)

SECRET_KEY = secret_key(CREWSHIP.data_dir)
SECRET_KEY_FALLBACKS = list(env.items("CREWSHIP_SECRET_KEY_FALLBACKS"))
DEBUG = env.flag("CREWSHIP_DEBUG")
ALLOWED_HOSTS = list(env.items("CREWSHIP_ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]")))
CSRF_TRUSTED_ORIGINS = list(env.items("CREWSHIP_TRUSTED_ORIGINS"))

INSTALLED_APPS = [
    "crewship.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_rq",
    "django_htmx",
    "crewship.workspaces",
    "crewship.crews",
    "catalogs",
    "cache",
    "provisioning",
    "crewship.dashboard.apps.DashboardConfig",
    "crewship.apps.CrewshipConfig",
]

MIDDLEWARE = [
    "crewship.web.requests.RequestIdMiddleware",
    "crewship.web.problems.ProblemMiddleware",
    "crewship.web.outage.OutageMiddleware",
    "crewship.api.health.HealthByAddressMiddleware",
    "crewship.web.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "crewship.workspaces.actor.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "crewship.dashboard.signed_out.SignedOutMiddleware",
]

ROOT_URLCONF = "crewship.urls"
WSGI_APPLICATION = "crewship.wsgi.application"
ASGI_APPLICATION = "crewship.asgi.application"

TEMPLATES: list[dict[str, Any]] = [  # Any: Django's own option bag
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, Any]:  # Any: Django's own option bag
    """PostgreSQL from CREWSHIP_DATABASE_URL, else SQLite in the data directory.

    IMMEDIATE takes the write lock when a transaction begins, so a read that becomes a write
    never fails with "database is locked"; waiting for the lock is bounded by ``timeout``.
    """
    url = env.text("CREWSHIP_DATABASE_URL")
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": CREWSHIP.data_dir / "crewship.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # auto_vacuum is set once, before the first table (web/sqlite_space.py): here it
                # would take the write lock with each connection.
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                    "PRAGMA journal_size_limit=67108864;"  # what is left of a log that was longer
                ),
            },
        }
    parts = urlparse(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SettingsError("CREWSHIP_DATABASE_URL must begin with postgresql://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "workspaces.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "dashboard:sign-in"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CREWSHIP.redis_url,
        "KEY_PREFIX": "crewship",
        "KEY_FUNCTION": "crewship.web.cache_keys.bounded_key",
        # A Redis that hangs is as good as none: nothing waits for it longer.
        "OPTIONS": {"socket_connect_timeout": 1.0, "socket_timeout": 1.0},
    }
}

# Pickle would make write access to Redis code execution beside the engine's socket.
RQ_QUEUES = {
    "provision": {
        "URL": CREWSHIP.redis_url,
        "DEFAULT_TIMEOUT": -1,
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
}
RQ_SHOW_ADMIN_LINK = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "crewship.workspaces.authentication.TokenAuthentication",
        "crewship.workspaces.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": [
        "crewship.web.throttles.UserThrottle",
        "crewship.web.throttles.AnonymousThrottle",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["crewship.web.parsers.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "crewship.web.problems.exception_handler",
    "DEFAULT_PAGINATION_CLASS": "crewship.web.pagination.NewestFirst",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Crewship Provisioning",
    "DESCRIPTION": (
        "Turns a crew's devcontainer config into a cached Docker image.\n\n"
        "Every 4xx and 5xx is a problem (RFC 9457, `application/problem+json`) with a stable "
        "`code` and mostly a `hint`. A route that does not exist answers 404, one that has no such "
        "method 405 with `Allow`; both, like everything here, after 401."
    ),
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "crewship.api.examples.add_examples",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "AgentStatus": "crewship.crews.models.AgentStatus",
        "JobState": "provisioning.states.JobState",
        "ProvisionStatus": "provisioning.states.ProvisionStatus",
        "Role": "crewship.workspaces.models.ROLE_CHOICES",
    },
}

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no STATIC_ROOT, no collect step: served from the packages
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "crewship.formats"

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
# Behind TLS: cookies only over https, and browsers are told to stay there.
HTTPS_ONLY = env.flag("CREWSHIP_HTTPS_ONLY")
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
CSRF_FAILURE_VIEW = "crewship.dashboard.signed_out.csrf_failure"
SECURE_SSL_REDIRECT = HTTPS_ONLY
# Balancers behind the TLS proxy ask plainly, and take a redirect for "down".
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_HSTS_PRELOAD = HTTPS_ONLY
if HTTPS_ONLY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000_000

LOGGING: dict[str, Any] = {  # Any: logging's own option bag
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "crewship.web.requests.RequestIdFilter"},
        "refused": {"()": "crewship.web.refusals.RefusedStrangers"},
        "outage": {"()": "crewship.web.database.OutageFilter"},
    },
    "formatters": {
        "line": {
            "class": "crewship.web.requests.TokenlessFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
        }
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["refused", "request_id"],
            "formatter": "line",
        }
    },
    "loggers": {
        "uvicorn.error": {"filters": ["refused"]},  # it has a handler of its own
        "django.request": {"filters": ["outage"]},
    },
    "root": {"handlers": ["stderr"], "level": env.text("CREWSHIP_LOG_LEVEL", "INFO")},
}
