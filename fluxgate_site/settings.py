"""All settings, each from one environment variable with a safe default. README.md lists them; a test compares."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.utils.csp import CSP

from fluxgate_site.embedded_postgres import Cluster
from fluxgate_site.secret_key import load_or_create

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# Where and how it runs
DATA_DIR = Path(env.str("FLUXGATE_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = env.bool("FLUXGATE_DEBUG", default=False)
HOST = env.str("FLUXGATE_HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
WORKERS = env.int("FLUXGATE_WORKERS", default=2)
DEMO = env.bool("FLUXGATE_DEMO", default=True)
PUBLIC_URL = env.str("FLUXGATE_URL", default=f"http://localhost:{PORT}").rstrip("/")
SECRET_KEY = env.str("FLUXGATE_SECRET_KEY", default="") or load_or_create(DATA_DIR / "secret_key")

# Database. Unset, DATABASE_URL means the embedded PostgreSQL in the data directory.
EMBEDDED_CLUSTER = None if env.str("DATABASE_URL", default="") else Cluster(DATA_DIR)
if EMBEDDED_CLUSTER:
    _database = env.db_url_config(EMBEDDED_CLUSTER.app_url())
    _owner_database = env.db_url_config(EMBEDDED_CLUSTER.owner_url())
else:
    _database = env.db_url("DATABASE_URL")
    _owner_database = env.db_url("FLUXGATE_OWNER_DATABASE_URL", default=env.str("DATABASE_URL"))
for _config in (_database, _owner_database):
    _config["HOST"] = unquote(_config["HOST"])  # a socket's directory is written percent-encoded in a URL
_connection = {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {"connect_timeout": 3, "tcp_user_timeout": 5000, "keepalives_idle": 5},
}
DATABASES = {
    "default": _database | _connection,
    # The owner changes the schema; the application itself runs as a role that can only read and write rows.
    "owner": _owner_database | _connection,
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What is served under which name
_public = urlsplit(PUBLIC_URL)
_https = _public.scheme == "https"
ALLOWED_HOSTS = [
    *env.list("FLUXGATE_ALLOWED_HOSTS", default=[]),
    *{_public.hostname or "localhost", "localhost", "127.0.0.1", "[::1]"},
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_SSL_REDIRECT = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "fluxgate_session"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "object-src": [CSP.NONE],
}

INSTALLED_APPS = [
    "procrastinate.contrib.django",  # before fluxgate_site, which takes its pages out of the admin
    "fluxgate_site",
    "dashboard",
    "metering",
    "events",
    "pricing",
    "django_htmx",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "fluxgate_site.request_ids.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dashboard.live.IdlePollMiddleware",  # before anything is read that a poll without news does not need
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "fluxgate_site.urls"
WSGI_APPLICATION = "fluxgate_site.wsgi.application"
# What the REST API of `metering` answers beside its own: prefixes below /api/v1 and the routers of the app above it
API_ROUTERS = {"/events": "dashboard.api.events.router", "/costs": "dashboard.api.costs.router"}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["fluxgate_site.templates.Loader", "django.template.loaders.app_directories.Loader"],
                ),
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# People
AUTH_USER_MODEL = "events.User"
LOGIN_URL = "dashboard:sign_in"
LOGIN_REDIRECT_URL = "dashboard:overview"
LOGOUT_REDIRECT_URL = "dashboard:sign_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# Stored times are UTC; pages show the organization's zone.
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# Background jobs: where the tasks are. Imported by the worker, and by whoever queues one.
PROCRASTINATE_IMPORT_PATHS = ["events.jobs", "metering.jobs", "metering.webhook_jobs", "dashboard.jobs"]
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = None

# Static files: ours, htmx from django-htmx, the chart library from plotly, Swagger UI from django-ninja; gathered once
# into the data directory
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "fluxgate_site.finders.PackageFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "fluxgate_site.static_files.MinifiedStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "fluxgate_site.request_ids.NamesRequest"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s%(request_name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "fluxgate": {"level": env.str("FLUXGATE_LOG_LEVEL", default="INFO")},
        # These two tell at length of a lost database, for which `manage.py jobs` has one line.
        "procrastinate.utils": {"level": "CRITICAL"},
        "procrastinate.worker.worker": {"level": "CRITICAL"},
    },
}
