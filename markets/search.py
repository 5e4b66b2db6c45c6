"""Finds coins by id, symbol or name, and forgives typing errors."""

from difflib import SequenceMatcher
from heapq import nlargest

from django.db.models import Case, F, IntegerField, Q, Value, When

from markets.models import Cryptocurrency

MIN_TYPO_LENGTH = 4  # in shorter words one wrong letter already makes another coin's symbol
MIN_SIMILARITY = 0.75
MAX_COMPARED = 20_000

BY_RANK = (F("market_cap_rank").asc(nulls_last=True), F("coingecko_id").asc())


def search_coins(text: str, *, limit: int) -> list[Cryptocurrency]:
    """Listed coins that the text may mean, best first, at most `limit`, in at most three queries.

    Whole matches come first, then beginnings, then parts, each by market cap; coins with a similar name or id
    follow, the most similar first. Empty for blank text.
    """
    wanted = " ".join(text.replace("\x00", "").split())
    if not wanted or limit < 1:
        return []
    found = literal_matches(wanted, limit)
    if len(found) < limit and len(wanted) >= MIN_TYPO_LENGTH:
        found += similar(wanted, limit - len(found), excluded={coin.pk for coin in found})
    return found


def literal_matches(text: str, limit: int) -> list[Cryptocurrency]:
    relevance = Case(
        When(anywhere("iexact", text), then=Value(0)),
        When(anywhere("istartswith", text), then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return list(Cryptocurrency.objects.listed().matching(text).order_by(relevance, *BY_RANK)[:limit])


def anywhere(lookup: str, text: str) -> Q:
    return Q(**{f"coingecko_id__{lookup}": text}) | Q(**{f"symbol__{lookup}": text}) | Q(**{f"name__{lookup}": text})


def similar(text: str, limit: int, *, excluded: set[int]) -> list[Cryptocurrency]:
    """Coins whose name or id differs from the text by a few letters."""
    rows = Cryptocurrency.objects.listed().order_by(*BY_RANK).values_list("pk", "name", "coingecko_id")
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(text.casefold())
    scored = [
        (max(similarity(matcher, name), similarity(matcher, coingecko_id)), -place, pk)
        for place, (pk, name, coingecko_id) in enumerate(rows[:MAX_COMPARED])
        if pk not in excluded
    ]
    best = [pk for score, _, pk in nlargest(limit, scored) if score >= MIN_SIMILARITY]
    coins = Cryptocurrency.objects.in_bulk(best) if best else {}
    return [coins[pk] for pk in best]


def similarity(matcher: SequenceMatcher[str], word: str) -> float:
    """The share of letters in common and in order, from 0 to 1; 0 once cheap bounds rule the word out."""
    matcher.set_seq1(word.casefold())
    if matcher.real_quick_ratio() < MIN_SIMILARITY or matcher.quick_ratio() < MIN_SIMILARITY:
        return 0.0
    return matcher.ratio()
