"""The filters and the small forms of the pages under /ops/."""

from django import forms

from cryptopredict.operations.arguments import RUNNABLE
from cryptopredict.operations.audit import Channel
from cryptopredict.operations.models import TaskRun
from markets.coingecko.fields import Unsound, coin_id

ANY = ("", "Any")


class TaskFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=[ANY, *TaskRun.State.choices])
    name = forms.ChoiceField(required=False, label="Job", choices=[ANY, *((name, name) for name in sorted(RUNNABLE))])


class CoinFilter(forms.Form):
    q = forms.CharField(required=False, max_length=100, label="Search", strip=True)
    tracked = forms.ChoiceField(required=False, choices=[ANY, ("yes", "Tracked"), ("no", "Not tracked")])


class AuditFilter(forms.Form):
    actor = forms.CharField(required=False, max_length=254, label="Who")
    action = forms.CharField(required=False, max_length=60, label="What")
    channel = forms.ChoiceField(required=False, choices=[ANY, *((name.value, name.value) for name in Channel)])


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=300)


class AddCoinForm(forms.Form):
    coingecko_id = forms.CharField(max_length=150)

    def clean_coingecko_id(self) -> str:
        try:
            return coin_id(self.cleaned_data["coingecko_id"])
        except Unsound:
            raise forms.ValidationError("A CoinGecko id, such as bitcoin, is expected.") from None
