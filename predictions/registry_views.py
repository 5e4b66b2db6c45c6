"""The registry in pages: versions and their cards for everyone, promotion and rollback for staff."""

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cryptopredict.rest import staff
from predictions import monitoring, record
from predictions.forecasting.artifact import ArtifactError
from predictions.forecasting.backtest import EWMA_N, FHS, LINEAR_HEAD, LSTM
from predictions.forms import StepForm
from predictions.frequency import Frequency
from predictions.models import ModelAlarm, TrainedModel
from predictions.registry import PromotionRefused, former_champions

if TYPE_CHECKING:
    from accounts.models import User

State = TrainedModel.State
SHOWN_TO_ALL = [State.SERVING, State.SHADOW, State.CANDIDATE, State.RETIRED]
STEPS_OF = {
    State.CANDIDATE: ["promote", "shadow", "retire"],
    State.SHADOW: ["promote", "retire"],
    State.SERVING: ["rollback"],
    State.RETIRED: ["promote", "shadow"],
}
MODELS_SHOWN = 100


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every version that can be or was used, the champion first."""
    found = TrainedModel.objects.filter(state__in=SHOWN_TO_ALL).annotate(
        issued=Count("predictions"), scored=Count("predictions", filter=Q(predictions__state="scored"))
    )
    order = {state: place for place, state in enumerate(SHOWN_TO_ALL)}
    rows = sorted(found.defer("metrics", "reference")[:MODELS_SHOWN], key=lambda model: order[State(model.state)])
    return render(request, "predictions/models.html", {"models": rows})


@require_safe
def model(request: HttpRequest, version: str) -> HttpResponse:
    """One model's card: where it came from, what its validation and its own forecasts say, its history."""
    found = None if "\x00" in version else TrainedModel.objects.filter(version=version).first()
    if found is None:
        problem = f"The registry holds no model called “{version[:60]}”."
        return render(request, "404.html", {"problem": problem}, status=404)
    rows = {(row["model"], row["horizon"]): row for row in monitoring.validation_rows(found)}
    horizons = sorted({horizon for _, horizon in rows})
    live = record.evidence_of_model(found)
    context = {
        "model": found,
        "frequency": Frequency(found.frequency),
        "validation": [(rows.get((LSTM, h)), rows.get((LINEAR_HEAD, h))) for h in horizons if (LSTM, h) in rows],
        "live": [(h, one) for h, one in live.items() if one.n_dates],
        "events": found.events.all(),
        "alarms": ModelAlarm.objects.filter(model=found)[:10],
        "backtests": found.backtests.all()[:10],
        "issued": found.predictions.count(),
        "fhs": FHS,
        "ewma": EWMA_N,
        "max_age_days": monitoring.max_age_days(found),
    }
    return render(request, "predictions/model.html", context)


def steps_of(model: TrainedModel) -> list[str]:
    """What may be done with a model now; the first champion has none before it to go back to."""
    steps = STEPS_OF.get(State(model.state), [])
    return [step for step in steps if step != "rollback" or former_champions(model)]


@never_cache
@staff_member_required(login_url="sign-in")
@require_safe
def registry_page(request: HttpRequest) -> HttpResponse:
    """For staff: every model with the steps it may take, and what is watched and the alarms of one frequency."""
    asked = request.GET.get("frequency")
    frequency = Frequency.HOUR if asked == Frequency.HOUR.word else Frequency.DAY
    rows = [
        (one, [(step, StepForm.STEPS[step][0]) for step in steps_of(one)])
        for one in TrainedModel.objects.defer("reference")[:MODELS_SHOWN]
    ]
    watched = monitoring.monitor(frequency=frequency)
    context = {
        "section": "models",
        "frequency": frequency,
        "frequencies": list(Frequency),
        "rows": rows,
        "watched": watched,
        "psi": sorted(watched.psi.items(), key=lambda item: -item[1]) if watched else [],
        "warn_psi": monitoring.WARN_PSI,
        "stop_psi": monitoring.STOP_PSI,
    }
    return render(request, "ops/models.html", context)


@never_cache
@staff_member_required(login_url="sign-in")
@require_http_methods(["GET", "POST"])
def registry_step(request: HttpRequest, version: str) -> HttpResponse:
    """For staff: a step of one model; the reason first, then the confirmation, then it is taken."""
    found = TrainedModel.objects.filter(version=version).first()
    if found is None:
        problem = f"The registry holds no model called “{version[:60]}”."
        return render(request, "404.html", {"problem": problem}, status=404)
    form = StepForm(request.POST) if request.method == "POST" else StepForm(initial={"step": request.GET.get("step")})
    step = form["step"].value()
    if step not in steps_of(found):
        messages.error(request, f"{found} is {found.get_state_display().lower()}; it cannot take that step.")
        return redirect("ops-models")
    is_asked = form.is_bound and form.is_valid()
    if is_asked and form.cleaned_data["is_confirmed"]:
        _take(request, found, form)
        return redirect("ops-models")
    context = {
        "section": "models",
        "model": found,
        "form": form,
        "step": StepForm.STEPS[step][0],
        "step_name": step,
        "is_asked": is_asked,
        "champion": TrainedModel.objects.serving(found.frequency),
    }
    return render(request, "ops/model_step.html", context, status=400 if form.is_bound and not is_asked else 200)


def _take(request: HttpRequest, model: TrainedModel, form: StepForm) -> None:
    label, act = StepForm.STEPS[form.cleaned_data["step"]]
    try:
        with transaction.atomic():
            act(model=model, reason=form.cleaned_data["reason"], by=cast("User", request.user))
            action = f"model.{form.cleaned_data['step']}"
            staff.record(request, action, model.version, reason=form.cleaned_data["reason"])
    except (PromotionRefused, ArtifactError) as error:
        messages.error(request, f"{model}: nothing was changed. {error}")
        return
    champion = TrainedModel.objects.serving(model.frequency)
    messages.success(request, f"{label}: {model}. The champion is {champion}.")
