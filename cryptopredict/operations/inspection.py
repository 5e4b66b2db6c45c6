"""What the staff's health checks look at: database, cache, broker, and this process's computer."""

import os
import platform
import shutil
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import celery
import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.db.models import Model

from cryptopredict.operations.health import migrations_problem
from cryptopredict.operations.models import TaskRun
from cryptopredict.operations.queues import BrokerUnavailable, broker_depths, queue_names
from cryptopredict.rest.shared import CACHE_ERRORS
from markets.models import Cryptocurrency, DataFault, PriceData, SyncRun
from portfolios.models import Portfolio, Transaction
from predictions.models import Prediction, TrainedModel

STARTED_AT = datetime.now(UTC)
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def inspect_database() -> dict[str, Any]:
    """Its kind, version, size and how long a question takes. Raises DatabaseError."""
    connection.ensure_connection()
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        milliseconds = (time.perf_counter() - began) * 1000
        if connection.vendor == "postgresql":
            cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
        else:
            cursor.execute("SELECT sqlite_version(), page_count * page_size FROM pragma_page_count, pragma_page_size")
        version, size = cursor.fetchone()
    problem = migrations_problem()
    return {
        "problems": [problem] if problem else [],
        "vendor": connection.vendor,
        "version": version,
        "size_bytes": size,
        "latency_ms": round(milliseconds, 3),
    }


def inspect_cache() -> dict[str, Any]:
    """Whether the cache gives back what was put into it, and the broker answers."""
    problems = []
    began = time.perf_counter()
    try:
        key, value = f"health:{uuid.uuid4().hex}", uuid.uuid4().hex
        cache.set(key, value, 10)
        if cache.get(key) != value:
            problems.append("The cache does not give back what was put into it.")
        cache.delete(key)
    except CACHE_ERRORS as error:
        problems.append(f"The cache does not answer ({type(error).__name__}).")
    milliseconds = (time.perf_counter() - began) * 1000
    waiting = None
    try:
        waiting = sum(broker_depths(queue_names()))
    except BrokerUnavailable as error:
        problems.append(str(error))
    kind = "redis" if settings.REDIS_URL else "disk"
    return {
        "problems": problems,
        "cache": kind,
        "latency_ms": round(milliseconds, 3),
        "broker": kind,
        "waiting": waiting,
    }


def inspect_system() -> dict[str, Any]:
    """Versions, how long this process runs, memory, disk, and how many rows the main tables hold."""
    disk = shutil.disk_usage(settings.VAR_DIR)
    models = (
        get_user_model(), Cryptocurrency, PriceData, SyncRun, DataFault, Prediction, TrainedModel, Portfolio,
        Transaction, TaskRun,
    )  # fmt: skip
    return {
        "problems": ["Less than a tenth of the disk is free."] if disk.free < disk.total / 10 else [],
        "version": settings.SPECTACULAR_SETTINGS["VERSION"],
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            "celery": celery.__version__,
        },
        "market": settings.MARKET,
        "pid": os.getpid(),
        "started_at": STARTED_AT,
        "uptime_seconds": round((datetime.now(UTC) - STARTED_AT).total_seconds()),
        "memory_bytes": memory_bytes(),
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
        "rows": count_rows(models),
    }


def memory_bytes() -> int | None:
    """This process's resident memory; None where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except OSError:
        return None


def count_rows(models: Sequence[type[Model]]) -> dict[str, int]:
    """How many rows each model's table holds, in one query."""
    quote = connection.ops.quote_name
    counts = ", ".join(f"(SELECT COUNT(*) FROM {quote(model._meta.db_table)})" for model in models)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        found = cursor.fetchone()
    return {model._meta.label: count for model, count in zip(models, found, strict=True)}
