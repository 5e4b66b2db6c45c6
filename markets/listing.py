"""Which coins the market list shows, and in what order, as its address says."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import F, OrderBy
from django.http import QueryDict

from markets.models import Cryptocurrency
from markets.querysets import CryptocurrencyQuerySet

TABS = {"all": "All", "watchlist": "Watchlist", "gainers": "Gainers", "losers": "Losers"}
COLUMNS = {
    "rank": "market_cap_rank",
    "name": "name",
    "price": "price_usd",
    "1h": "change_1h_percent",
    "24h": "change_24h_percent",
    "7d": "change_7d_percent",
    "cap": "market_cap_usd",
    "volume": "volume_24h_usd",
}
ASCENDING_FIRST = {"rank", "name"}
DEFAULT_SORT = {"all": "rank", "watchlist": "rank", "gainers": "-24h", "losers": "24h"}
MAX_SEARCH_LENGTH = 100


class BadAddress(ValueError):
    """The address asks for a tab, an order or a page that does not exist; the text says which do."""


@dataclass(frozen=True)
class Listing:
    """One view of the market list: tab, search text, sort key (with - for descending) and page number."""

    tab: str
    text: str
    sort: str
    page: int

    @classmethod
    def from_address(cls, parameters: QueryDict) -> "Listing":
        """Reads `tab`, `q`, `sort` and `page`; raises BadAddress."""
        tab = parameters.get("tab") or "all"
        if tab not in TABS:
            raise BadAddress(f"There is no list called “{tab}”. The lists are {', '.join(TABS)}.")
        sort = parameters.get("sort") or DEFAULT_SORT[tab]
        if sort.removeprefix("-") not in COLUMNS:
            raise BadAddress(f"The list cannot be sorted by “{sort}”. It sorts by {', '.join(COLUMNS)}.")
        page = parameters.get("page") or "1"
        if not (page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) > 0):
            raise BadAddress(f"“{page}” is not a page number.")
        text = " ".join(parameters.get("q", "").replace("\x00", "").split())
        if len(text) > MAX_SEARCH_LENGTH:
            raise BadAddress(f"A search is at most {MAX_SEARCH_LENGTH} characters long.")
        return cls(tab=tab, text=text, sort=sort, page=int(page))

    def address(self, **changes: str | int) -> str:
        """The query string of this view with some parts changed; what is default is left out."""
        parts: dict[str, str | int] = {"tab": self.tab, "q": self.text, "sort": self.sort, "page": self.page}
        parts |= changes
        default = {"tab": "all", "q": "", "sort": DEFAULT_SORT[str(parts["tab"])], "page": 1}
        return "?" + urlencode({name: value for name, value in parts.items() if value != default[name]})

    def coins(self, user: AbstractBaseUser | AnonymousUser) -> CryptocurrencyQuerySet:
        """The coins of this view in its order; what is unknown comes last."""
        coins = Cryptocurrency.objects.listed()
        coins = coins.matching(self.text) if self.text else coins.priced()
        if self.tab == "watchlist":
            coins = coins.filter(watchers__user_id=user.pk) if user.pk else coins.none()
        elif self.tab == "gainers":
            coins = coins.filter(change_24h_percent__gt=0)
        elif self.tab == "losers":
            coins = coins.filter(change_24h_percent__lt=0)
        return coins.order_by(self._order(), F("market_cap_rank").asc(nulls_last=True), "pk")

    def _order(self) -> OrderBy:
        column = F(COLUMNS[self.sort.removeprefix("-")])
        return column.desc(nulls_last=True) if self.sort.startswith("-") else column.asc(nulls_last=True)

    def next_sort(self, key: str) -> str:
        """The order that a click on a column's heading asks for."""
        first, second = (key, f"-{key}") if key in ASCENDING_FIRST else (f"-{key}", key)
        return second if self.sort == first else first
