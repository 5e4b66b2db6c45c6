"""One forecast for ever, and the public record of all of them."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from predictions import charts, record, words
from predictions.forecasting.labels import MIN_DATES
from predictions.forecasting.quantiles import BAND_80, BAND_95, LEVELS
from predictions.forms import RecordForm
from predictions.frequency import Frequency
from predictions.models import Prediction, TrainedModel


@require_safe
def forecast(request: HttpRequest, pk: int) -> HttpResponse:
    """The permalink of a forecast: what was published, beside what, and what came of it."""
    found = Prediction.objects.select_related("coin", "model").filter(pk=pk).first()
    if found is None:
        problem = f"The ledger holds no forecast with the number {pk}."
        return render(request, "404.html", {"problem": problem}, status=404)
    issue = Prediction.objects.filter(coin=found.coin, model=found.model, cutoff_at=found.cutoff_at)
    around = Prediction.objects.filter(sequence__in=[found.sequence - 1, found.sequence + 1])
    neighbours = {one.sequence: one for one in around.only("pk", "sequence")}
    quantiles = zip(
        LEVELS, found.quantiles, found.model_quantiles, found.fhs_quantiles, found.ewma_quantiles, strict=True
    )
    siblings = list(issue.order_by("horizon_hours"))
    context = {
        "frequency": Frequency(found.frequency),
        "prediction": found,
        "coin": found.coin,
        "band_80": [found.quantiles[i] for i in BAND_80],
        "band_95": [found.quantiles[i] for i in BAND_95],
        "baseline_80": [found.fhs_quantiles[i] for i in BAND_80],
        "quantiles": list(quantiles),
        "issue": siblings,
        "previous": neighbours.get(found.sequence - 1),
        "next": neighbours.get(found.sequence + 1),
        "outcome_place": words.place_among(found.quantiles, found.actual_price)
        if found.actual_price is not None
        else "",
        "fhs_name": record.FHS_NAME,
        "ewma_name": record.EWMA_NAME,
    }
    context["figure"] = charts.forecast_figure(found, siblings)
    return render(request, "predictions/forecast.html", context)


@require_safe
def track_record(request: HttpRequest) -> HttpResponse:
    """How all forecasts did, or those that the address asks for, the misses as large as the hits."""
    form = RecordForm(request.GET)
    is_valid = form.is_valid()
    frequency = form.of
    found = record.track_record(**form.selection()) if is_valid else record.track_record(frequency=frequency)
    rows = [row for row in found.backtest.get("rows", []) if row["model"] == record.LSTM]
    chosen = {name: value for name, value in request.GET.items() if value and name in form.fields}
    context = {
        "form": form,
        "frequency": frequency,
        "frequencies": list(Frequency),
        "record": found,
        "curve_days": record.CURVE_DAYS[frequency],
        "is_filtered": is_valid and bool(chosen.keys() - {"frequency"}),
        "address": f"?{urlencode(chosen)}" if is_valid and chosen else "",
        "calibration_figure": charts.calibration_figure(found.calibration) if found.calibration else None,
        "skill_figure": charts.skill_figure(found.horizons),
        "coverage_figure": charts.coverage_figure(found.months),
        "backtest_rows": [(row, row["against"][record.FHS]) for row in rows],
        "min_dates": MIN_DATES,
        "scored_dates": MIN_DATES - found.countdown,
        "model": TrainedModel.objects.serving(frequency),
        "open_count": Prediction.objects.published().of(frequency).open().count(),
    }
    return render(request, "predictions/track_record.html", context, status=200 if is_valid else 400)
