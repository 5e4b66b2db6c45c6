"""Every setting of CryptoPredict, each from the environment, safe by default."""

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

django_stubs_ext.monkeypatch()  # so that ModelAdmin[Coin] and the like can be written as the type stubs have them

BASE_DIR = Path(__file__).resolve().parent.parent


def env_text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_int(name: str, default: int) -> int:
    text = env_text(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.") from None


def env_flag(name: str, default: bool) -> bool:
    text = env_text(name, "1" if default else "0").lower()
    if text not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {text!r}.")
    return text in {"1", "true", "yes"}


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env_text(name, default).split(",") if part.strip()]


# The market: which prices this site shows -------------------------------------------------------

MARKET = env_text("MARKET", "live")
if MARKET not in {"live", "sample", "replay"}:
    raise ImproperlyConfigured(f"MARKET must be live, sample or replay, not {MARKET!r}.")
IS_SAMPLE_DATA = MARKET != "live"

VAR_DIR = Path(env_text("VAR_DIR", str(BASE_DIR / "var"))).resolve()
MARKET_DIR = VAR_DIR / MARKET  # one folder, and so one database file, for each market: never mixed
MODELS_DIR = Path(env_text("MODELS_DIR", str(MARKET_DIR / "models")))
STARTER_MODEL_DIR = BASE_DIR / "predictions" / "starter" / "daily"
HOURLY_STARTER_MODEL_DIR = BASE_DIR / "predictions" / "starter" / "hourly"
# A model whose training data ended longer ago than this is no longer the headline; 0 means never.
MODEL_MAX_AGE_DAYS = env_int("MODEL_MAX_AGE_DAYS", 400)
STARTER_MAX_AGE_DAYS = env_int("STARTER_MAX_AGE_DAYS", 0)
# Each of so many coins, the largest, adds 192 hourly forecasts a day to the ledger, for good; 0 issues none.
HOURLY_COINS = env_int("HOURLY_COINS", 10)

COINGECKO_API_KEY = env_text("COINGECKO_API_KEY")
COINGECKO_BASE_URL = env_text("COINGECKO_BASE_URL", "https://api.coingecko.com/api/v3")
if IS_SAMPLE_DATA:
    COINGECKO_BASE_URL = env_text("SAMPLE_SERVER_URL", "http://127.0.0.1:8900/api/v3")
    COINGECKO_API_KEY = ""
_calls_default = 1200 if IS_SAMPLE_DATA else (30 if COINGECKO_API_KEY else 5)
COINGECKO_CALLS_PER_MINUTE = env_int("COINGECKO_CALLS_PER_MINUTE", _calls_default)
# 0 means that the plan has no monthly limit.
COINGECKO_MONTHLY_CREDITS = env_int("COINGECKO_MONTHLY_CREDITS", 0 if IS_SAMPLE_DATA else 10_000)
COINGECKO_TIMEOUT_SECONDS = env_int("COINGECKO_TIMEOUT_SECONDS", 20)
TRACKED_COINS = env_int("TRACKED_COINS", 50)
HISTORY_DAYS = env_int("HISTORY_DAYS", 365)
KEEP_5M_DAYS = env_int("KEEP_5M_DAYS", 30)
KEEP_1H_DAYS = env_int("KEEP_1H_DAYS", 400)

# Security ---------------------------------------------------------------------------------------

DEBUG = env_flag("DEBUG", False)


def local_key(name: str) -> str:
    """A key of this installation's own, drawn once and kept beside its data, readable by its owner only."""
    path = VAR_DIR / name
    if not path.exists():
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)  # the first process wins; the others read its key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


# A site that others can reach must be given both keys: see operations/checks.py.
SECRET_KEY = env_text("SECRET_KEY") or local_key("secret_key")
JWT_SIGNING_KEY = env_text("JWT_SIGNING_KEY") or local_key("jwt_signing_key")
SECRETS_FROM_ENVIRONMENT = {"SECRET_KEY": env_text("SECRET_KEY"), "JWT_SIGNING_KEY": env_text("JWT_SIGNING_KEY")}
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

# HTTPS=1 is for every site that others can reach; without it the site is meant for this computer only.
HTTPS = env_flag("HTTPS", False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health/"]
if HTTPS and env_flag("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# How many proxies of our own stand before the site; X-Forwarded-For is believed for so many and no more.
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Which pages of other sites may call the API from a browser: none unless named. Cookies never travel with it.
CORS_ALLOWED_ORIGINS = env_list("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "idempotency-key", "if-none-match"]
CORS_EXPOSE_HEADERS = ["ETag", "Location", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"]

# Django -----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "cryptopredict.operations.adminconfig.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_celery_beat",
    "django_htmx",
    "cryptopredict.operations",
    "accounts",
    "markets",
    "predictions",
    "portfolios",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cryptopredict.operations.middleware.SecurityHeadersMiddleware",
    "cryptopredict.operations.middleware.ApiCacheMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "cryptopredict.operations.middleware.QueueUnavailableMiddleware",
]

ROOT_URLCONF = "cryptopredict.urls"
WSGI_APPLICATION = "cryptopredict.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "markets"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "cryptopredict.operations.context.site",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = Path(env_text("STATIC_ROOT", str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

PASSWORD_HASHERS = [
    "accounts.hashing.PatientArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

PASSWORD_RESET_TIMEOUT = 3600

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

# Accounts: django-allauth, bent to this site in accounts/adapter.py ----------------------------------

EMAIL_HOST = env_text("EMAIL_HOST")
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_DISPLAY = "accounts.adapter.display_name"
# Without a mail server nobody could confirm: the mail is written to a file and sign-in does not wait for it.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_HOST else "optional"
MAIL_IN_BACKGROUND = True  # see accounts/mailer.py
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[CryptoPredict] "
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = False  # every try is counted by rest/throttling.py instead, in one place
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm", "reauthenticate": "accounts.forms.ConfirmPasswordForm"}
MFA_ADAPTER = "accounts.adapter.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondFactorForm",
    "reauthenticate": "accounts.forms.SecondFactorAgainForm",
    "activate_totp": "accounts.forms.ActivateAppForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # browsers themselves allow it on this computer only
MFA_TOTP_ISSUER = "CryptoPredict"
MFA_TOTP_TOLERANCE = 1
# Where confirming is mandatory, whoever is signed in has confirmed; elsewhere it must not keep anybody from it.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RATE_LIMITS = False
USERSESSIONS_TRACK_ACTIVITY = False

# Database, broker and cache: local files, or PostgreSQL and Redis ---------------------------------


def database(url: str) -> dict[str, object]:
    """Django's settings for a postgres:// address, or for this market's own SQLite file when there is none."""
    if not url:
        MARKET_DIR.mkdir(parents=True, exist_ok=True)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": MARKET_DIR / "cryptopredict.sqlite3",
            "OPTIONS": {
                # A writer takes its lock at BEGIN, so that it waits instead of failing in mid-transaction.
                # Every thread has a page cache of its own: 4 MB each keep a web process small.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4000;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must begin with postgres:// or postgresql://.")
    limits = (
        f"statement_timeout={env_int('DATABASE_STATEMENT_SECONDS', 30) * 1000}",
        # A process that was frozen in mid-transaction must not hold its locks for ever.
        f"idle_in_transaction_session_timeout={env_int('DATABASE_IDLE_SECONDS', 60) * 1000}",
        "timezone=UTC",
    )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, "options": " ".join(f"-c {limit}" for limit in limits)},
    }


DATABASES = {"default": database(env_text("DATABASE_URL"))}

REDIS_URL = env_text("REDIS_URL")
SHARED_STATE_PATH = MARKET_DIR / "coingecko.sqlite3"  # limiter, breaker and budget, when there is no Redis
BROKER_DIR = MARKET_DIR / "broker"
if REDIS_URL:
    CACHES: dict[str, dict[str, object]] = {
        "default": {
            "BACKEND": "cryptopredict.rest.redis_cache.FailFastRedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": MARKET,
        }
    }
    CACHES["answers"] = {**CACHES["default"], "KEY_PREFIX": f"{MARKET}-answers"}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(MARKET_DIR / "cache"),
            # Throttle counts and idempotency keys live here: too small a cache would drop them at random.
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        },
        # Answers that rest/answers.py shares, apart from what must not be dropped to make room for them.
        "answers": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(MARKET_DIR / "answers"),
            "OPTIONS": {"MAX_ENTRIES": 1_000},
        },
    }

# Celery: read by cryptopredict/celery.py ------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL or "disk://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = (
    {
        # A job whose worker vanished is delivered again after this long; it must exceed the hard time limit.
        "visibility_timeout": env_int("REDIS_VISIBILITY_SECONDS", 2000),
        "unacked_restore_interval": 5,  # seconds between looks for such jobs,
        "unacked_restore_throttle": 1,  # each of which is a real one
        "unacked_mutex_expire": 30,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    }
    if REDIS_URL
    else {"folder": str(BROKER_DIR)}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # what a job did stands in the database: SyncRun, TrainedModel, TaskRun
CELERY_RESULT_EXPIRES = None
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_LOST_WAIT = 3.0
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)  # the broker on disk has no broadcast
CELERY_TASK_DEFAULT_QUEUE = "ingest"
CELERY_TASK_ROUTES = {
    "markets.*": {"queue": "ingest"},
    "predictions.train_model": {"queue": "training"},
    "predictions.run_backtest": {"queue": "training"},
    "predictions.*": {"queue": "forecasts"},
}
CELERY_TASK_SOFT_TIME_LIMIT = 1500
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "cryptopredict.operations.beat:Scheduler"

# The API ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.ApiTokenAuthentication",
        "rest_framework_simplejwt.authentication.JWTAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["cryptopredict.rest.renderers.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cryptopredict.rest.parsers.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "cryptopredict.rest.schema.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "cryptopredict.rest.pagination.PageNumbers",
    "EXCEPTION_HANDLER": "cryptopredict.rest.errors.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": [
        "cryptopredict.rest.throttling.AnonymousThrottle",
        "cryptopredict.rest.throttling.UserThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anonymous": env_text("API_RATE_ANONYMOUS", "120/min"),
        "user": env_text("API_RATE_USER", "600/min"),
        "sign-in": env_text("API_RATE_SIGN_IN", "10/min"),
        # Tries on one account from places it was never used from, all of them together.
        "account": env_text("API_RATE_ACCOUNT", "30/hour"),
        # Mails that anybody can make us send to one address.
        "mail": env_text("API_RATE_MAIL", "6/hour"),
    },
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ALGORITHM": "HS256",
    "ISSUER": "cryptopredict",
    "AUDIENCE": "cryptopredict-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a changed password ends the access tokens too
    "UPDATE_LAST_LOGIN": True,
    "USER_ID_FIELD": "id",
}
SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "CryptoPredict API",
    "DESCRIPTION": "Markets, calibrated forecasts and their public record.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cryptopredict.rest.links.add_links",
    ],
    "TAGS": [
        {"name": "Authentication", "description": "One's own account: signing up and in, tokens, profile, data."},
        {"name": "Users", "description": "Other people's accounts."},
        {"name": "Cryptocurrencies", "description": "Coins by their CoinGecko id, never by their symbol."},
        {"name": "Prices", "description": "What coins cost, and how good these data are."},
        {"name": "Forecasts", "description": "Forecasts, the ledger that they are frozen in, and their record."},
        {"name": "Models", "description": "The registry of the models that forecast."},
        {"name": "Portfolios", "description": "One's own holdings and what they are worth."},
        {"name": "Watchlist", "description": "The coins that one watches."},
        {"name": "Sync", "description": "The sync with CoinGecko."},
        {"name": "Tasks", "description": "The jobs behind the site."},
        {"name": "Health", "description": "Whether the site and what it depends on are well."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "ApiTokenStateEnum": ["active", "expired", "revoked"],
        "IntervalEnum": ["5m", "1h", "1d"],
        "FrequencyEnum": ["1d", "1h"],
        "FrequencyNameEnum": ["daily", "hourly"],
        "CandleIntervalEnum": ["1h", "4h", "1d", "1w"],
        "TaskRunStateEnum": "cryptopredict.operations.models.TaskRun.State",
        "SyncRunStateEnum": "markets.models.SyncRun.State",
        "SyncRunKindEnum": "markets.models.SyncRun.Kind",
        "ProcessKindEnum": "cryptopredict.operations.models.Heartbeat.Kind",
        "BreakerStateEnum": ["closed", "open", "half_open"],
        "CheckStatusEnum": ["ok", "problem"],
    },
}

# Mail and logs --------------------------------------------------------------------------------------

# EMAIL_HOST stands above, with the accounts. Mails hold links that let people in: they go to files, not to the log.
_mail_by = "smtp" if EMAIL_HOST else "filebased"
EMAIL_BACKEND = env_text("EMAIL_BACKEND", f"django.core.mail.backends.{_mail_by}.EmailBackend")
EMAIL_FILE_PATH = MARKET_DIR / "mail"
if EMAIL_BACKEND.endswith(".filebased.EmailBackend"):
    with suppress(OSError):  # on a file system that cannot be written, mails fail and the rest goes on
        EMAIL_FILE_PATH.mkdir(mode=0o700, parents=True, exist_ok=True)
EMAIL_PORT = env_int("EMAIL_PORT", 25)
EMAIL_HOST_USER = env_text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env_text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env_flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_text("DEFAULT_FROM_EMAIL", "CryptoPredict <noreply@localhost>")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "cryptopredict.operations.logs.MaskingFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_text("LOG_LEVEL", "WARNING")},
    "loggers": {
        name: {"level": env_text("LOG_LEVEL", "INFO"), "propagate": True}
        for name in ("cryptopredict", "accounts", "markets", "predictions", "portfolios")
    },
}
