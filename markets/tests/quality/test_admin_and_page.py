"""What people see: the card on the coin page, the broken line of its chart, and the faults in the admin."""

from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from markets.charts import ChartView, coin_chart
from markets.models import Cryptocurrency, DataFault, PriceData, Restatement
from markets.quality.checks import check_quality
from markets.tests.quality.conftest import wander, write

DAY = timedelta(days=1)


@pytest.fixture
def faulty(coin: Cryptocurrency) -> Cryptocurrency:
    """A year of days with a hole, a frozen week and a price that cannot be true."""
    first = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - 365 * DAY
    prices = wander(365)
    prices[100:103] = np.nan
    prices[200:206] = prices[200]
    prices[300], prices[301] = prices[299] * 0.2, prices[299]
    Cryptocurrency.objects.filter(pk=coin.pk).update(price_at=timezone.now())
    write(coin, "1d", first, prices)
    check_quality(now=timezone.now())
    Restatement.objects.create(
        coin=coin, interval="1d", at=first + 350 * DAY, field="close", old_value=101.5, new_value=102.25
    )
    coin.refresh_from_db()
    return coin


def card(html: str) -> str:
    return html.split('id="quality-heading"')[1].split("</section>")[0]


class TestPage:
    def test_it_says_what_is_missing_doubtful_and_changed(self, client: Client, faulty: Cryptocurrency) -> None:
        html = card(client.get("/coins/bitcoin/").content.decode())
        assert "361 of 364 days, 2 in quarantine" in html
        assert "98.6%" in html
        assert "3 days missing from" in html
        assert "In quarantine, so neither shown nor forecast from: $" in html
        assert "The feed stood still: 6 slots in a row at $" in html
        assert "was $101.50 and became $102.25, by CoinGecko" in html
        assert "No faults known" not in html

    def test_it_says_that_a_file_and_not_upstream_changed_a_price(self, client: Client, faulty: Cryptocurrency) -> None:
        Restatement.objects.update(stated_by=Restatement.Source.IMPORT)
        html = card(client.get("/coins/bitcoin/").content.decode())
        assert "became $102.25, by a file that staff imported" in html
        assert "CoinGecko" not in html

    def test_it_says_that_no_faults_are_known(self, client: Client, coin: Cryptocurrency) -> None:
        write(coin, "1d", timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - 50 * DAY, wander(50))
        html = card(client.get("/coins/bitcoin/").content.decode())
        assert "No faults known." in html
        assert "Not checked yet" in html

    def test_it_says_that_there_is_nothing_to_check(self, client: Client, coin: Cryptocurrency) -> None:
        assert "nothing to check" in card(client.get("/coins/bitcoin/").content.decode())

    def test_it_shows_five_faults_and_how_many_there_are(self, client: Client, coin: Cryptocurrency) -> None:
        now = timezone.now()
        DataFault.objects.bulk_create(
            DataFault(coin=coin, interval="1d", kind="gap", start_at=now - i * DAY, end_at=now - (i - 1) * DAY)
            for i in range(1, 9)
        )
        html = card(client.get("/coins/bitcoin/").content.decode())
        assert html.count("missing from") == 5
        assert "8 in all" in html

    def test_it_breaks_the_line_where_slots_are_missing(self, faulty: Cryptocurrency) -> None:
        line = coin_chart(faulty, ChartView(range="1y")).figure["data"][0]
        assert len(line["x"]) == len(line["y"])
        assert line["y"].count(None) == 2  # the hole, and the days in quarantine

    def test_it_asks_the_database_as_often_for_many_faults_as_for_few(
        self, client: Client, faulty: Cryptocurrency
    ) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                client.get("/coins/bitcoin/")
            return len(captured)

        queries()  # fills caches
        few = queries()
        now = timezone.now()
        DataFault.objects.bulk_create(
            DataFault(coin=faulty, interval="1h", kind="gap", start_at=now - i * DAY, end_at=now) for i in range(1, 60)
        )
        assert queries() == few


class TestAdmin:
    def client_of(self, *permissions: str) -> Client:
        user = get_user_model().objects.create_user("ada@example.org", "correct horse battery", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    def act(self, client: Client, action: str, fault: DataFault, reason: str = "Confirmed.") -> str:
        sent = {"action": action, "_selected_action": [fault.pk], "reason": reason}
        return client.post(reverse("admin:markets_datafault_changelist"), sent, follow=True).content.decode()

    def test_it_lists_filters_and_searches_faults(self, faulty: Cryptocurrency) -> None:
        client = self.client_of("view_datafault")
        address = reverse("admin:markets_datafault_changelist")
        assert client.get(address).content.decode().count('class="field-kind"') == 3
        for query, count in (("state=open", 3), ("state=resolved", 0), ("kind=gap", 1), ("q=bitcoin", 3), ("q=no", 0)):
            assert client.get(f"{address}?{query}").content.decode().count('class="field-kind"') == count, query

    def test_it_releases_from_quarantine_with_a_reason(self, faulty: Cryptocurrency) -> None:
        client = self.client_of("view_datafault", "change_datafault")
        fault = DataFault.objects.get(kind="outlier")
        assert "Give a reason" in self.act(client, "release_from_quarantine", fault, reason=" ")
        assert PriceData.objects.filter(is_quarantined=True).count() == 2
        assert "1 fault released from quarantine" in self.act(client, "release_from_quarantine", fault)
        assert PriceData.objects.filter(is_quarantined=True).count() == 0
        fault.refresh_from_db()
        assert fault.resolution == "Released by ada@example.org: Confirmed."
        assert "was resolved before" in self.act(client, "release_from_quarantine", fault)

    def test_it_marks_a_gap_as_resolved(self, faulty: Cryptocurrency) -> None:
        client = self.client_of("view_datafault", "change_datafault")
        assert "1 fault marked as resolved" in self.act(client, "mark_resolved", DataFault.objects.get(kind="gap"))
        assert not DataFault.objects.unresolved().filter(kind="gap").exists()

    def test_it_lets_no_one_decide_who_may_only_look(self, faulty: Cryptocurrency) -> None:
        client = self.client_of("view_datafault")
        self.act(client, "release_from_quarantine", DataFault.objects.get(kind="outlier"))
        assert PriceData.objects.filter(is_quarantined=True).count() == 2

    def test_it_shows_restatements_and_quarantined_prices_to_read_only(self, faulty: Cryptocurrency) -> None:
        client = self.client_of("view_restatement", "change_restatement", "delete_restatement", "view_pricedata")
        address = reverse("admin:markets_restatement_change", args=[Restatement.objects.get().pk])
        html = client.get(address).content.decode()
        assert "101.5" in html
        assert 'name="_save"' not in html
        assert "deletelink" not in html
        prices = client.get(reverse("admin:markets_pricedata_changelist") + "?is_quarantined__exact=1")
        assert prices.content.decode().count('class="field-is_quarantined"') == 2
