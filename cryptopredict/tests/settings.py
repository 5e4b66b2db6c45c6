"""The settings for tests: data in a folder that vanishes, a fast password hasher, plain static files."""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

_folder = Path(tempfile.mkdtemp(prefix="cryptopredict-tests-"))
_owner = os.getpid()


def _remove_folder() -> None:
    if os.getpid() == _owner:  # a forked child must not take its parent's folder away
        shutil.rmtree(_folder, ignore_errors=True)


atexit.register(_remove_folder)

# What a developer has in the shell must not decide what a test sees.
for _name in (
    "COINGECKO_API_KEY",
    "COINGECKO_BASE_URL",
    "DEBUG",
    "HTTPS",
    "MODELS_DIR",
    "SECRET_KEY",
    "JWT_SIGNING_KEY",
    "EMAIL_HOST",
):
    os.environ.pop(_name, None)
os.environ["MARKET"] = "sample"
os.environ["VAR_DIR"] = str(_folder)

# Test processes that run side by side share one Redis: each takes a numbered database of its own.
_worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
if os.environ.get("REDIS_URL") and _worker:
    os.environ["REDIS_URL"] = re.sub(r"(?<=[^/])/\d*$", "", os.environ["REDIS_URL"]) + f"/{_worker[1]}"

from cryptopredict.settings import *  # noqa: E402, F403
from cryptopredict.settings import CACHES, DATABASES, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
(_folder / "static").mkdir()  # where collectstatic would have put its files
# A test's rows are never committed, so that no change of them is announced: see tests/rest/test_answers.py.
CACHES["answers"] = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
MAIL_IN_BACKGROUND = False
if not os.environ.get("DATABASE_URL"):
    # A file, not memory: several threads of one test then see what SQLite's locks do in real life.
    DATABASES["default"]["TEST"] = {"NAME": _folder / "test.sqlite3"}
