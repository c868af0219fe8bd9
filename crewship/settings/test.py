"""Settings of the fast tests: a data directory that goes away, no Redis, cheap hashes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from crewship.settings import *  # noqa: F403
from crewship.settings import CREWSHIP as _REAL
from crewship.settings import DATABASES, LOGGING, RQ_QUEUES

# The real suites start servers as processes and give them a directory of their own.
_scratch = Path(tempfile.mkdtemp(prefix="crewship-test-"))
atexit.register(shutil.rmtree, _scratch, ignore_errors=True)

# Replaced here, not set in the environment: the package above has read that before this module
# runs, and a test must never reach the database or the Redis of an installation in this tree.
CREWSHIP = replace(
    _REAL,
    data_dir=_scratch,
    runtime_dir=_scratch,
    redis_url=f"unix://{_scratch}/no-redis.sock?db=0",
    redis_is_embedded=True,
)
RQ_QUEUES["provision"]["URL"] = CREWSHIP.redis_url
DATABASES["default"]["NAME"] = _scratch / "crewship.sqlite3"
DATABASES["default"]["TEST"] = {"NAME": str(_scratch / "test.sqlite3")}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "crewship.web.cache_keys.bounded_key",
    }
}

# Else a thread would say a minute later how many requests of tests were refused.
LOGGING["filters"]["refused"]["later"] = lambda say: None

SECRET_KEY = "only-for-tests-" + "x" * 50
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # every client would else read all static files first
