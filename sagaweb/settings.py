"""Django's settings; everything a person may change comes from the environment (`env.py`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF

from sagaweb import env as environment

PACKAGE_DIR = Path(__file__).resolve().parent
BASE_DIR = PACKAGE_DIR.parent
IS_WHEEL = (PACKAGE_DIR / "templates").is_dir()  # a wheel carries templates, static and examples inside
ASSETS_DIR = PACKAGE_DIR if IS_WHEEL else BASE_DIR

ENV = environment.read(os.environ, Path.cwd() if IS_WHEEL else BASE_DIR)

SECRET_KEY = ENV.secret_key
SECRET_KEY_FALLBACKS = list(ENV.secret_key_fallbacks)
DEBUG = ENV.debug
ALLOWED_HOSTS = list(ENV.allowed_hosts) or ["127.0.0.1", "localhost", "[::1]"]
SAGAWEB_BASE_URL = ENV.base_url
SAGAWEB_DEMO = ENV.demo
SAGAWEB_SECRET_KEY_IS_GENERATED = ENV.secret_key_is_generated
SAGAWEB_LEASE_S = ENV.lease_s
SAGAWEB_EVENTS_URL = ENV.events_url
CSRF_TRUSTED_ORIGINS = [ENV.base_url] if ENV.base_url else []

EXAMPLES_DIR = ASSETS_DIR / "examples"
if ENV.demo and str(EXAMPLES_DIR) not in sys.path:
    sys.path.append(str(EXAMPLES_DIR))

INSTALLED_APPS = [
    "sagas",
    "sagas.barrier",
    "sagaweb.admin.SagaAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "lucide",
    "axes",
    "csp",
    "django_q",
    *(["shop", "business"] if ENV.demo else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "sagas.guard.RequestGuard",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "sagaweb.urls"
WSGI_APPLICATION = "sagaweb.wsgi.application"
ASGI_APPLICATION = "sagaweb.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ASSETS_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sagas.dashboard.chrome.chrome",
            ],
        },
    },
]

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

STATIC_URL = "static/"
STATICFILES_DIRS = [ASSETS_DIR / "static"]
STATIC_ROOT = ENV.data_dir / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

LOGIN_URL = "sagas:sign-in"
LOGIN_REDIRECT_URL = "sagas:overview"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_HTTPS = ENV.base_url.startswith("https://")
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # the stated limit of a body (docs/reference/limits.md)


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for one database address, with the engine's demands.

    SQLite: write-ahead log, every transaction takes the write lock at its start,
    and a commit is on disk when it returns. Measured without them: 20 % of
    read-then-write transactions from four processes ended in "locked".
    """
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError as error:
        message = f"DATABASE_URL cannot be used: {error}"
        raise environment.SettingError(message) from None
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA busy_timeout=20000;PRAGMA foreign_keys=ON;"
            ),
        }
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    else:
        config["CONN_HEALTH_CHECKS"] = True
    config["CONN_MAX_AGE"] = 0  # ASGI gives each request a thread of its own
    return config


DATABASES = {"default": database(ENV.database_url)}
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
SAGAWEB_PUMPS = ENV.pumps or (1 if IS_SQLITE else 2)

CHANNEL_LAYERS = {
    "default": (
        {"BACKEND": "sagas.live.redis_layer.RedisLayer", "CONFIG": {"hosts": [ENV.redis_url]}}
        if ENV.redis_url
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    ),
}

# The queue is a doorbell: messages carry ids only, results are not kept, nothing is redelivered.
# Each value here is checked at start (sagas/checks.py); the reasons are in docs/decisions/.
Q_CLUSTER = {
    "name": "sagaweb",
    "orm": "default",
    "broker_class": "sagas.queue.Doorbell",
    "workers": 2 * SAGAWEB_PUMPS + 1,  # set again for each worker group (sagas/workers/cluster.py)
    "bulk": 1,
    "queue_limit": 1,
    "timeout": 600,
    "retry": 1200,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "scheduler": False,
    "poll": 0.2,
    "guard_cycle": 0.5,
}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {"TITLE": "Sagaweb", "VERSION": "1", "OAS_VERSION": "3.1.0"}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"links": {"()": "sagas.logs.HideSecretPaths"}, "refusals": {"()": "sagas.logs.RefusalsInBrief"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["links"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "sagas": {"level": "INFO"},
        "django-q": {"level": "WARNING", "handlers": [], "propagate": True},
        # Before Django's own handlers too: the console when it debugs, and mail to the admins.
        "django.request": {"filters": ["links", "refusals"]},
        "django.security.csrf": {"filters": ["links"]},
    },
}
