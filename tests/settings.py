"""Settings of the tests: the embedded default, or PostgreSQL when DATABASE_URL says so."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("SAGAWEB_DATA_DIR", tempfile.mkdtemp(prefix="sagaweb-tests-"))
os.environ.setdefault("SAGAWEB_SECRET_KEY", "tests only, long enough to be accepted by every check there is")
os.environ["SAGAWEB_DEMO"] = "1"

from sagaweb.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

if IS_SQLITE:  # noqa: F405 - a file, as in life: threads of a pump share no connection
    DATABASES["default"]["TEST"] = {"NAME": str(ENV.data_dir / "test.sqlite3")}  # noqa: F405

STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405 - the static middleware warns when it is not there
if IS_SQLITE:  # noqa: F405 - a file, as in real life: in memory, threads meet locks that do not wait
    DATABASES["default"]["TEST"] = {"NAME": ENV.data_dir / "tests.sqlite3"}  # noqa: F405
