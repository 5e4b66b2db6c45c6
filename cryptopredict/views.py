"""Pages that no single app owns: the site's status, the theme switch, and the page for our own failures."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import get_template
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from cryptopredict.operations.health import job_problems
from cryptopredict.operations.models import Heartbeat, TaskRun
from cryptopredict.schedule import SCHEDULE
from markets.models import Cryptocurrency, SyncRun
from markets.services import data_source, market_freshness
from predictions.models import ModelAlarm, Prediction, TrainedModel

RUNS_SHOWN = 12
THEME_COOKIE_SECONDS = 365 * 86_400


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Age of the data, the last syncs, the jobs' health, and what forecasts there are."""
    newest = TaskRun.objects.values("name").order_by("name").annotate(newest=Max("pk")).values("newest")
    runs = {run.name: run for run in TaskRun.objects.filter(pk__in=newest)}
    prices = SyncRun.objects.finished().filter(kind=SyncRun.Kind.PRICES)
    context = {
        "freshness": market_freshness(),
        "data_source": data_source(),
        "syncs": SyncRun.objects.order_by("-started_at", "-id")[:RUNS_SHOWN],
        "upstream": prices.order_by("-started_at", "-id").first(),
        "jobs": [(entry, runs.get(entry.task)) for entry in SCHEDULE],
        "job_problems": job_problems(),
        "processes": Heartbeat.objects.all(),
        "tracked": Cryptocurrency.objects.tracked().count(),
        "champions": TrainedModel.objects.filter(state=TrainedModel.State.SERVING).order_by("frequency"),
        "model_alarms": ModelAlarm.objects.unresolved().filter(model__state=TrainedModel.State.SERVING),
        "forecasts": Prediction.objects.aggregate(
            issued_at=Max("issued_at"), scored_at=Max("scored_at"), length=Max("sequence")
        ),
    }
    return render(request, "pages/status.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the visitor's theme in a cookie, and with the account of who is signed in."""
    chosen = request.POST.get("theme", "")
    choices = get_user_model().Theme.values
    if chosen not in choices:
        return HttpResponseBadRequest(f"The theme is one of {', '.join(choices)}.", content_type="text/plain")
    user = request.user
    if user.is_authenticated:
        user.theme = chosen
        user.save(update_fields=["theme"])
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    response = HttpResponseRedirect(target if is_ours else "/")
    response.set_cookie(
        "theme",
        chosen,
        max_age=THEME_COOKIE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for a failure of our own; it asks nothing of the database, which may be what failed."""
    cookie = request.COOKIES.get("theme", "")
    context = {
        "market": settings.MARKET,
        "is_sample_data": settings.IS_SAMPLE_DATA,
        "theme": cookie if cookie in {"light", "dark"} else "system",
    }
    return HttpResponse(get_template("500.html").render(context), status=500)
