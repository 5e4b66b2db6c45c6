"""What staff do under /ops/: each a POST that leaves an audit entry and leads back to a page."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from cryptopredict.operations import audit, control
from cryptopredict.operations.arguments import BadArguments, NotRunnable
from cryptopredict.operations.models import TaskRun
from cryptopredict.operations.pages.access import faults_of, find, staff_only
from cryptopredict.operations.pages.forms import AddCoinForm, ReasonForm
from cryptopredict.operations.progress import TRAINING
from markets.coingecko.errors import StateUnavailable
from markets.models import Cryptocurrency
from markets.services import track_coins, untrack_coins
from markets.upstream import build_client

PAGE = audit.Channel.PAGE
SYNC_COIN = "markets.sync_specific_cryptocurrency"


@require_POST
@staff_only
def start(request: HttpRequest) -> HttpResponse:
    """Runs a job that needs no arguments now."""
    name = request.POST.get("name", "")
    return queue(request, "ops-tasks", lambda: start_job(request.user, name))


@require_POST
@staff_only
def retry(request: HttpRequest, task_id: str) -> HttpResponse:
    run = find(TaskRun.objects.all(), task_id=task_id)
    reason = read_reason(request)
    again = lambda: control.retry_task(run=run, by=request.user, channel=PAGE, reason=reason)  # noqa: E731
    return queue(request, "ops-tasks", again)


@require_POST
@staff_only
def cancel(request: HttpRequest, task_id: str) -> HttpResponse:
    run = find(TaskRun.objects.all(), task_id=task_id)
    try:
        run = control.cancel_task(run=run, by=request.user, channel=PAGE, reason=read_reason(request))
    except control.WrongState as error:
        messages.error(request, str(error))
    else:
        is_off = run.state == TaskRun.State.CANCELLED
        messages.success(request, "It will not run." if is_off else "It was asked to stop at its next step.")
    return redirect("ops-task", task_id)


@require_POST
@staff_only
def add_coin(request: HttpRequest) -> HttpResponse:
    """Queues the job that asks CoinGecko for a coin and tracks it."""
    form = AddCoinForm(request.POST)
    if not form.is_valid():
        messages.error(request, faults_of(form, "coingecko_id"))
        return redirect("ops-coins")
    added = form.cleaned_data["coingecko_id"]
    if Cryptocurrency.objects.tracked().filter(coingecko_id=added).exists():
        messages.error(request, f"{added} is tracked already.")
        return redirect("ops-coins")
    return queue(request, "ops-coins", lambda: sync_job(request.user, added, "coin.add"))


@require_POST
@staff_only
def sync_coin(request: HttpRequest, coingecko_id: str) -> HttpResponse:
    coin = find(Cryptocurrency.objects.all(), coingecko_id=coingecko_id)
    return queue(request, "ops-coins", lambda: sync_job(request.user, coin.coingecko_id, "sync.coin"))


@require_POST
@staff_only
def track(request: HttpRequest, coingecko_id: str) -> HttpResponse:
    """Starts or stops the tracking of a coin; its history stays."""
    coin = find(Cryptocurrency.objects.all(), coingecko_id=coingecko_id)
    is_wanted = request.POST.get("is_tracked") == "yes"
    if is_wanted and not coin.is_listed:
        messages.error(request, f"CoinGecko no longer lists {coin.name}.")
        return redirect("ops-coins")
    coins = Cryptocurrency.objects.filter(pk=coin.pk)
    with transaction.atomic():
        if track_coins(coins=coins) if is_wanted else untrack_coins(coins=coins):
            action = "coin.track" if is_wanted else "coin.untrack"
            audit.record(request.user, action, coin.coingecko_id, channel=PAGE)
    done = "is tracked now" if is_wanted else "is no longer tracked; its history stays"
    messages.success(request, f"{coin.name} {done}.")
    return redirect("ops-coins")


@require_POST
@staff_only
def reset_breaker(request: HttpRequest) -> HttpResponse:
    try:
        with transaction.atomic():
            audit.record(request.user, "breaker.reset", "CoinGecko", reason=read_reason(request), channel=PAGE)
            build_client().reset_breaker()
    except StateUnavailable as error:
        messages.error(request, f"Nothing was changed. {error.message}")
    else:
        messages.success(request, "The breaker is closed: the next call to CoinGecko is made at once.")
    return redirect("ops")


def start_job(by: AbstractBaseUser | AnonymousUser, name: str) -> TaskRun:
    return control.queue_task(name=name, arguments={}, by=by, channel=PAGE)


def sync_job(by: AbstractBaseUser | AnonymousUser, coingecko_id: str, action: str) -> TaskRun:
    return control.queue_task(
        name=SYNC_COIN,
        arguments={"coingecko_id": coingecko_id},
        by=by,
        channel=PAGE,
        action=action,
        target=coingecko_id,
    )


def queue(request: HttpRequest, back_to: str, start_one: Callable[[], TaskRun]) -> HttpResponse:
    """Leads to the run that was queued, or to the one that is there already, or back with what is wrong."""
    try:
        run = start_one()
    except control.AlreadyActive as error:
        messages.warning(request, "This job waits or runs already: here it is.")
        return redirect(page_of(error.run), error.run.task_id)
    except (NotRunnable, BadArguments, control.WrongState, control.BrokerDown) as error:
        messages.error(request, str(error))
        return redirect(back_to)
    messages.success(request, "The job is queued.")
    return redirect(page_of(run), run.task_id)


def page_of(run: TaskRun) -> str:
    """The page that shows a run best: a training has one with its loss curve."""
    return "ops-training" if run.name == TRAINING else "ops-task"


def read_reason(request: HttpRequest) -> str:
    """What staff gave as their reason; one that is too long is cut, the log keeps no more."""
    form = ReasonForm(request.POST)
    return form.cleaned_data["reason"] if form.is_valid() else request.POST.get("reason", "")[:300]
