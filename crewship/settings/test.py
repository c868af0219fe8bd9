"""Settings of the fast tests: a data directory that goes away, no Redis, cheap hashes."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# The real suites start servers as processes and give them a directory of their own.
_scratch = Path(tempfile.mkdtemp(prefix="crewship-test-"))
atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
os.environ["CREWSHIP_DATA_DIR"] = str(_scratch)
os.environ.setdefault("CREWSHIP_SECRET_KEY", "only-for-tests-" + "x" * 50)

from crewship.settings import *  # noqa: E402, F403
from crewship.settings import DATABASES  # noqa: E402

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DATABASES["default"]["TEST"] = {"NAME": str(_scratch / "test.sqlite3")}
