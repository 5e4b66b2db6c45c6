"""The plain words for labels and evidence, the same on every page."""

from dataclasses import dataclass
from datetime import date

from predictions.forecasting.labels import MIN_DATES, Evidence, Label
from predictions.forecasting.quantiles import LEVELS

MINUS = "\u2212"


@dataclass(frozen=True)
class LabelWords:
    """A label in two words for a badge, and the badge's class."""

    text: str
    css_class: str


LABELS = {
    Label.TOO_EARLY: LabelWords("too early to say", "badge-neutral"),
    Label.BEATS_BASELINE: LabelWords("beats baseline", "badge-good"),
    Label.EQUALS_BASELINE: LabelWords("equals baseline", "badge-neutral"),
    Label.WORSE_THAN_BASELINE: LabelWords("worse than baseline", "badge-bad"),
}


def label_words(label: str) -> LabelWords:
    """The badge of a label; ValueError for one that the rule does not know."""
    return LABELS[Label(label)]


def evidence_sentence(evidence: Evidence) -> str:
    """What the settled forecasts of one horizon say, with every figure that rests on."""
    if evidence.skill is None:
        return f"No forecast at this horizon has been scored yet; a first judgement needs {MIN_DATES} dates."
    basis = f"{count(evidence.n_dates, 'date')}, {count(evidence.n_forecasts, 'forecast')}"
    period = f"{_day(evidence.period_start)} to {_day(evidence.period_end)}"
    if evidence.label == Label.TOO_EARLY:
        scored = count(evidence.n_dates, "forecast date")
        need = f"a first judgement needs {MIN_DATES} dates, ten of which do not overlap"
        return f"Too early to say: {scored} scored ({period}); {need}."
    verdict = {
        Label.BEATS_BASELINE: "The model beats",
        Label.EQUALS_BASELINE: "The model shows no skill beyond",
        Label.WORSE_THAN_BASELINE: "The model does worse than",
    }[evidence.label]
    weighting = f"weighted {evidence.weighting}"
    return f"{verdict} {evidence.baseline}: skill {skill_text(evidence)}; {basis}, {period}, {weighting}."


def skill_text(evidence: Evidence) -> str:
    """Skill as +0.29% (95% interval +0.19% to +0.71%), or without the interval while there is none."""
    if evidence.skill is None:
        return "—"
    text = signed(evidence.skill)
    if evidence.interval is None:
        return f"{text} (too few dates for an interval)"
    low, high = evidence.interval
    return f"{text} (95% interval {signed(low)} to {signed(high)})"


def signed(fraction: float) -> str:
    """0.0029 → +0.29%."""
    text = f"{abs(fraction):.2%}"
    return text if text == "0.00%" else f"{'+' if fraction > 0 else MINUS}{text}"


def count(number: int, noun: str) -> str:
    """3 dates, 1 date."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def place_among(quantiles: list[float], actual: float) -> str:
    """Where an outcome fell among a forecast's quantiles."""
    below = [level for level, value in zip(LEVELS, quantiles, strict=True) if value < actual]
    above = [level for level, value in zip(LEVELS, quantiles, strict=True) if value >= actual]
    if not below:
        return f"below the {LEVELS[0]:.1%} quantile"
    if not above:
        return f"above the {LEVELS[-1]:.1%} quantile"
    return f"between the {below[-1] * 100:g}% and {above[0] * 100:g}% quantiles"


def _day(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else "—"
