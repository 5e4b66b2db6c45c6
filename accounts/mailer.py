"""Work that ends in a mail, done beside the request: its time would tell whether an address is known."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from allauth.core.context import request_context
from django.conf import settings
from django.db import connection
from django.http import HttpRequest

logger = logging.getLogger(__name__)

# One thread in each web process; it starts with the first mail and ends, its work done, with the process.
POOL = ThreadPoolExecutor(1, thread_name_prefix="mailer")
START_AFTER_SECONDS = 0.15  # when the request is over: until then even the job's use of the processor could be seen


def do_beside(request: HttpRequest, job: Callable[[], None]) -> None:
    """Runs the job soon, and in the request itself where MAIL_IN_BACKGROUND is off, as in most tests.

    A job that fails is logged: whoever waits for its mail asks for another.
    """
    if settings.MAIL_IN_BACKGROUND:
        POOL.submit(in_thread, request, job)
    else:
        run(request, job)


def in_thread(request: HttpRequest, job: Callable[[], None]) -> None:
    time.sleep(START_AFTER_SECONDS)
    try:
        run(request, job)
    except Exception:
        logger.exception("A mail was not sent")
    finally:
        connection.close()


def run(request: HttpRequest, job: Callable[[], None]) -> None:
    with request_context(request):
        job()
