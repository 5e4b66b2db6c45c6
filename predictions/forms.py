"""What a person may ask of the record and of the registry, by the address or by a form."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any, ClassVar

from django import forms

from markets.models import Cryptocurrency
from predictions import registry, words
from predictions.frequency import Frequency
from predictions.models import TrainedModel

Step = Callable[..., TrainedModel]


def _dates() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"})


class RecordForm(forms.Form):
    """Which part of the record of one frequency is shown; the names are those of the API's parameters."""

    frequency = forms.ChoiceField(
        required=False, choices=[(one.word, one.label) for one in Frequency], widget=forms.HiddenInput
    )
    coin = forms.ModelChoiceField(
        label="Coin", queryset=Cryptocurrency.objects.none(), to_field_name="coingecko_id", required=False,
        empty_label="All coins",
    )  # fmt: skip
    model = forms.ModelChoiceField(
        label="Model", queryset=TrainedModel.objects.none(), to_field_name="version", required=False,
        empty_label="All champions",
    )  # fmt: skip
    start = forms.DateField(label="Cutoffs from", required=False, widget=_dates())
    end = forms.DateField(label="Cutoffs before", required=False, widget=_dates())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = self.data.get("frequency")
        self.of = Frequency.HOUR if asked == Frequency.HOUR.word else Frequency.DAY
        noun = self.of.noun
        self.horizon_name = f"horizon_{noun}s"
        self.fields[self.horizon_name] = forms.TypedChoiceField(
            label="Horizon", coerce=int, required=False, empty_value=None,
            choices=[("", "All horizons"), *((h, words.count(h, noun)) for h in self.of.horizons)],
        )  # fmt: skip
        self.order_fields(["frequency", self.horizon_name])
        coins = Cryptocurrency.objects.filter(predictions__isnull=False).distinct().order_by("name")
        self.fields["coin"].queryset = coins  # type: ignore[attr-defined]
        models = TrainedModel.objects.usable().filter(frequency=self.of)
        self.fields["model"].queryset = models  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and start >= end:
            self.add_error("start", "It must lie before the end.")
        return cleaned

    def selection(self) -> dict[str, Any]:
        """What the record is asked for; empty parts are left out."""
        chosen = {name: value for name, value in self.cleaned_data.items() if value is not None}
        chosen["frequency"] = self.of
        if self.horizon_name in chosen:
            chosen["horizon"] = chosen.pop(self.horizon_name)
        for name in ("start", "end"):
            if name in chosen:
                chosen[name] = datetime.combine(chosen[name], time(), tzinfo=UTC)
        return chosen


class StepForm(forms.Form):
    """A step of one model in the registry, first without and then with its confirmation."""

    STEPS: ClassVar[dict[str, tuple[str, Step]]] = {
        "promote": ("Make champion", registry.promote),
        "shadow": ("Run in shadow", registry.shadow),
        "retire": ("Retire", registry.retire),
        "rollback": ("Roll back", registry.rollback),
    }  # fmt: skip

    step = forms.ChoiceField(choices=[(name, label) for name, (label, _) in STEPS.items()])
    reason = forms.CharField(
        label="Why", max_length=300, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="It is kept with the model for ever and shown on its public card.",
    )  # fmt: skip
    is_confirmed = forms.BooleanField(required=False)
