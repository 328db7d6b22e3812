"""Settings of the tests: the real ones, on a database server of their own, with a fast password hasher.

Without DATABASE_URL the tests start the embedded PostgreSQL in a temporary directory (tests/conftest.py); worker
processes inherit the directory's name.
"""

import os
import tempfile

os.environ.setdefault("FLUXGATE_DATA_DIR", tempfile.mkdtemp(prefix="fluxgate-tests-"))

from fluxgate_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405  WhiteNoise warns where there is none.
# Tests connect as the owner: they make and drop databases. The application's role is tested through `serve`.
DATABASES["default"] = DATABASES.pop("owner")  # noqa: F405
