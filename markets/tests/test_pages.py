"""The market list and the coin page, in each state that a visitor can meet."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from markets import charts
from markets.models import Cryptocurrency, Interval, PriceData, SyncRun
from portfolios.models import Portfolio, WatchlistItem

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def make_coin(coingecko_id: str, **fields: Any) -> Cryptocurrency:
    values: dict[str, Any] = {
        "symbol": coingecko_id[:4],
        "name": coingecko_id.title(),
        "is_tracked": True,
        "price_usd": 100.0,
        "price_at": timezone.now(),
        "market_cap_usd": 1e9,
        "volume_24h_usd": 1e8,
        "change_24h_percent": 1.0,
    }
    return Cryptocurrency.objects.create(coingecko_id=coingecko_id, **(values | fields))


def write_slots(coin: Cryptocurrency, interval: Interval, count: int, *, until: datetime) -> None:
    PriceData.objects.bulk_create(
        PriceData(
            coin=coin,
            interval=interval,
            at=until - (count - i) * interval.length,
            open=100.0 + i,
            high=102.0 + i,
            low=99.0 + i,
            close=101.0 + i,
            volume_24h=1e6,
        )
        for i in range(count)
    )


def names_shown(html: str) -> list[str]:
    return re.findall(r'<span class="coin-label">([^<]*)</span>', html)


@pytest.fixture
def three_coins(db: None) -> list[Cryptocurrency]:
    return [
        make_coin("bitcoin", symbol="btc", name="Bitcoin", market_cap_rank=1, price_usd=64000.0),
        make_coin("ethereum", symbol="eth", name="Ethereum", market_cap_rank=2, change_24h_percent=-4.5),
        make_coin("pepe", symbol="pepe", name="Pepe", market_cap_rank=3, price_usd=1.234e-5, change_24h_percent=None),
    ]


@pytest.fixture
def alice(db: None) -> Any:
    return get_user_model().objects.create_user("alice@example.org", "correct horse battery")


def test_it_lists_coins_by_rank_with_their_figures(client: Client, three_coins: list[Cryptocurrency]) -> None:
    html = client.get("/").content.decode()
    assert names_shown(html) == ["Bitcoin", "Ethereum", "Pepe"]
    assert "$64,000.00" in html
    assert "$0.00001234" in html, "a tiny price keeps its significant digits"
    assert 'data-direction="down"><span aria-hidden="true">▼</span><span class="visually-hidden">down </span>' in html
    assert "As of <time" in html


def test_it_says_on_every_page_that_the_data_is_sample_data(client: Client, three_coins: list[Cryptocurrency]) -> None:
    for address in ("/", "/coins/bitcoin/", "/status/", "/method/", "/track-record/", "/coins/nothing/"):
        html = client.get(address).content.decode()
        assert "<strong>Sample data.</strong>" in html, address
        assert "Data by CoinGecko" in html, address
        assert "Not financial advice" in html, address


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("/?sort=-name", ["Pepe", "Ethereum", "Bitcoin"]),
        ("/?sort=price", ["Pepe", "Ethereum", "Bitcoin"]),
        ("/?sort=-24h", ["Bitcoin", "Ethereum", "Pepe"]),
        ("/?sort=24h", ["Ethereum", "Bitcoin", "Pepe"]),
        ("/?tab=gainers", ["Bitcoin"]),
        ("/?tab=losers", ["Ethereum"]),
        ("/?q=ETH", ["Ethereum"]),
    ],
)
def test_it_sorts_and_filters_by_the_address(
    client: Client, three_coins: list[Cryptocurrency], address: str, names: list[str]
) -> None:
    assert names_shown(client.get(address).content.decode()) == names


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/?tab=winners", 400, "There is no list called “winners”"),
        ("/?sort=luck", 400, "cannot be sorted by “luck”"),
        ("/?page=two", 400, "“two” is not a page number"),
        ("/?page=0", 400, "“0” is not a page number"),
        ("/?page=%C2%B2", 400, "is not a page number"),
        ("/?page=9", 404, "This list ends at page 1"),
        ("/?q=" + "x" * 101, 400, "at most 100 characters"),
        ("/markets.csv?sort=luck", 400, "cannot be sorted by"),
    ],
)
def test_it_explains_an_address_that_asks_for_what_there_is_not(
    client: Client, three_coins: list[Cryptocurrency], address: str, status: int, words: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_it_escapes_what_the_address_says(client: Client, three_coins: list[Cryptocurrency]) -> None:
    attack = quote("<script>alert(1)</script>")
    for address in (f"/?q={attack}", f"/?tab={attack}", f"/coins/bitcoin/?range={attack}", f"/coins/x{attack}/"):
        assert "<script>alert" not in client.get(address).content.decode(), address


def test_it_pages_through_many_coins_and_keeps_the_order_in_the_links(client: Client) -> None:
    for i in range(60):
        make_coin(f"coin-{i}", market_cap_rank=i + 1)
    first, second = (client.get(a).content.decode() for a in ("/?sort=-name", "/?sort=-name&page=2"))
    assert len(names_shown(first)) == 50
    assert len(names_shown(second)) == 10
    assert not set(names_shown(first)) & set(names_shown(second))
    assert 'href="?sort=-name&amp;page=2"' in first


def test_it_asks_the_database_as_often_for_one_coin_as_for_fifty(client: Client, alice: Any) -> None:
    client.force_login(alice)
    counts = []
    make_coin("first", market_cap_rank=1)
    client.get("/")  # fills the cache of the record
    for more in (0, 49):
        for i in range(more):
            coin = make_coin(f"coin-{i}", market_cap_rank=i + 2)
            WatchlistItem.objects.create(user=alice, coin=coin)
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_it_tells_a_new_site_what_comes_next(client: Client) -> None:
    assert "There are no prices yet" in client.get("/").content.decode()


def test_it_shows_how_far_the_first_sync_is(client: Client) -> None:
    SyncRun.objects.create(kind=SyncRun.Kind.HISTORY, done=7, total=50)
    html = client.get("/").content.decode()
    assert "7 of 50 coins done" in html
    assert '<progress value="7" max="50"' in html


def test_it_marks_old_prices_as_stale(client: Client) -> None:
    make_coin("bitcoin", price_at=timezone.now() - timedelta(hours=2))
    for path in ("/", "/coins/bitcoin/"):
        html = client.get(path).content.decode()
        assert re.search(r"stale: <time [^>]*>2 hours ago</time>", html), path


def test_it_marks_the_one_coin_that_is_stale_among_fresh_ones(client: Client) -> None:
    make_coin("fresh", market_cap_rank=1)
    make_coin("old", market_cap_rank=2, price_at=timezone.now() - timedelta(hours=2))
    rows = client.get("/").content.decode().split("<tr>")
    assert [">stale<" in row for row in rows if "coin-label" in row] == [False, True]


def test_it_says_that_the_last_sync_failed(client: Client, three_coins: list[Cryptocurrency]) -> None:
    SyncRun.objects.create(
        kind=SyncRun.Kind.PRICES, state=SyncRun.State.FAILED, finished_at=timezone.now(), problem="refused"
    )
    assert "The last price sync failed" in client.get("/").content.decode()


def test_it_offers_what_a_mistyped_search_may_have_meant(client: Client, three_coins: list[Cryptocurrency]) -> None:
    html = client.get("/?q=etherium").content.decode()
    assert "No coin matches “etherium”" in html
    assert 'href="/coins/ethereum/"' in html


def test_it_shows_a_watchlist_to_its_owner_only(client: Client, three_coins: list[Cryptocurrency], alice: Any) -> None:
    assert "Your watchlist is kept with your account" in client.get("/?tab=watchlist").content.decode()
    client.force_login(alice)
    assert "You watch no coins yet" in client.get("/?tab=watchlist").content.decode()
    WatchlistItem.objects.create(user=alice, coin=three_coins[1])
    html = client.get("/?tab=watchlist").content.decode()
    assert names_shown(html) == ["Ethereum"]
    assert 'aria-pressed="true" aria-label="Watch Ethereum"' in html


def test_it_gives_the_whole_list_as_csv(client: Client, three_coins: list[Cryptocurrency]) -> None:
    make_coin("evil", name='=HYPERLINK("x")', market_cap_rank=4)
    answer = client.get("/markets.csv?sort=-name")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["coingecko_id"] for row in rows] == ["pepe", "ethereum", "bitcoin", "evil"]
    assert rows[0]["price_usd"] == "1.234e-05"
    assert rows[0]["change_24h_percent"] == "", "what is unknown is empty, not 0"
    assert {row["data_source"] for row in rows} == {"sample data"}
    assert rows[-1]["name"].startswith("'="), "a spreadsheet must not run a name"


# The coin page ------------------------------------------------------------------------------------


def figure_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="coin-figure" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found, "the page holds no figure"
    figure: dict[str, Any] = json.loads(found[1])
    return figure


@pytest.mark.parametrize("style", ["line", "candles"])
@pytest.mark.parametrize("name", list(charts.RANGE_NAMES))
def test_it_draws_a_figure_that_plotly_accepts(client: Client, name: str, style: str) -> None:
    coin = make_coin("bitcoin", price_at=NOON)
    write_slots(coin, Interval.DAY, 420, until=NOON.replace(hour=0))
    write_slots(coin, Interval.HOUR, 24 * 30, until=NOON)
    write_slots(coin, Interval.FIVE_MINUTES, 288, until=NOON)
    answer = client.get(f"/coins/bitcoin/?range={name}&style={style}&scale=log")
    assert answer.status_code == 200
    figure = figure_of(answer.content.decode())
    drawn = go.Figure(figure)  # raises ValueError for anything that is no Plotly figure
    assert [trace.type for trace in drawn.data] == ["scatter" if style == "line" else "candlestick", "bar"]
    assert drawn.layout.yaxis.type == "log"
    assert 2 <= len(drawn.data[0].x) <= charts.MAX_POINTS


def test_it_shows_the_same_data_as_a_table(client: Client) -> None:
    coin = make_coin("bitcoin", price_at=NOON)
    write_slots(coin, Interval.DAY, 20, until=NOON.replace(hour=0))
    html = client.get("/coins/bitcoin/").content.decode()
    closes = figure_of(html)["data"][0]["y"]
    assert closes[-1] == 120.0
    table = html[html.index("price-caption") :]
    assert table.count('<th scope="row" class="nowrap">') == len(closes) == 20
    assert '<td class="num">$120.00</td>' in table


def test_it_draws_a_close_at_the_end_of_its_slot(client: Client) -> None:
    coin = make_coin("bitcoin", price_at=NOON)
    write_slots(coin, Interval.DAY, 3, until=NOON.replace(hour=0))
    assert figure_of(client.get("/coins/bitcoin/").content.decode())["data"][0]["x"][-1] == "2026-03-10 00:00"


@pytest.mark.parametrize("query", ["range=2d", "style=bars", "scale=square", "range=90d%00"])
def test_it_refuses_an_unknown_chart_and_still_shows_the_coin(client: Client, query: str) -> None:
    coin = make_coin("bitcoin", price_at=NOON)
    write_slots(coin, Interval.DAY, 3, until=NOON.replace(hour=0))
    answer = client.get(f"/coins/bitcoin/?{query}")
    html = answer.content.decode()
    assert answer.status_code == 400
    assert 'class="notice notice-error" role="alert"' in html
    assert len(figure_of(html)["data"]) == 2


def test_it_answers_for_an_unknown_coin_with_a_search_box(client: Client) -> None:
    answer = client.get("/coins/dogwifnothing/")
    assert answer.status_code == 404
    assert "No coin here has the CoinGecko id “dogwifnothing”" in answer.content.decode()
    assert 'id="page-search"' in answer.content.decode()


def test_it_shows_a_coin_without_any_prices(client: Client) -> None:
    make_coin("new", price_usd=None, price_at=None, change_24h_percent=None)
    html = client.get("/coins/new/").content.decode()
    assert "No price has been seen yet" in html
    assert "No prices in this range yet" in html
    assert "plotly" not in html, "a page without a chart loads no chart library"


def test_it_tells_a_coin_that_is_no_longer_listed_apart(client: Client) -> None:
    make_coin("gone", is_listed=False)
    assert "no longer listed by CoinGecko" in client.get("/coins/gone/").content.decode()


def test_it_leads_from_a_coin_into_a_portfolio(client: Client, alice: Any) -> None:
    make_coin("bitcoin")
    assert "/sign-in/?next=%2Fcoins%2Fbitcoin%2F" in client.get("/coins/bitcoin/").content.decode()
    client.force_login(alice)
    assert "Start a portfolio" in client.get("/coins/bitcoin/").content.decode()
    first = Portfolio.objects.create(owner=alice, name="Savings")
    assert f"/portfolios/{first.pk}/transactions/add/?coin=bitcoin" in client.get("/coins/bitcoin/").content.decode()
    Portfolio.objects.create(owner=alice, name="Play")
    html = client.get("/coins/bitcoin/").content.decode()
    assert ">Savings</a>" in html
    assert ">Play</a>" in html


def test_it_thins_a_sparkline_but_keeps_its_ends() -> None:
    path = charts.sparkline_path([float(i) for i in range(168)])
    assert path.startswith("M0 29L")
    assert path.endswith("L100 1")
    assert path.count("L") == charts.SPARKLINE_POINTS - 1
    assert charts.sparkline_path([5.0, 5.0]) == "M0 15L100 15"
    assert charts.sparkline_path([5.0, None]) == ""


def test_it_writes_no_script_into_a_page(client: Client, three_coins: list[Cryptocurrency]) -> None:
    write_slots(
        three_coins[0], Interval.DAY, 5, until=timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    )
    for address in ("/", "/coins/bitcoin/", "/status/", "/track-record/"):
        html = client.get(address).content.decode()
        for tag in re.findall(r"<script[^>]*>", html):
            assert "src=" in tag or 'type="application/json"' in tag, f"{address}: {tag}"
        assert not re.search(r"\son[a-z]+=", html), address
        assert not re.search(r'(?:src|href)="https?://(?!www\.coingecko\.com/")', html), address
