"""The import of prices: a trial first, every fault named, all rows or none, and once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from markets import importing
from markets.api import quality_serializers
from markets.models import Cryptocurrency, DataFault, PriceData, Restatement, SyncRun
from markets.tests.api import API, assert_documented
from markets.tests.quality.conftest import wander

PATH = f"{API}prices/import/"
SLOTS = "id,interval,at,open,high,low,close,volume,market_cap\n"
DAYS = "id,date,price,market_cap,volume\n"
GOOD = SLOTS + "bitcoin,1h,2025-03-01T10:00Z,10,12,9,11,500,7000\nbitcoin,1h,2025-03-01T11:00Z,11,11,11,11,,0.0\n"


@pytest.fixture(autouse=True)
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")


def client_of(**columns: Any) -> APIClient:
    user = get_user_model().objects.create_user("ada@example.org", "correct horse battery", **columns)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture
def staff(db: None) -> APIClient:
    return client_of(is_staff=True)


def send(client: APIClient, text: str | bytes, *, status: int = 200, headers: Any = None, **parameters: Any) -> Any:
    path = f"{PATH}?{'&'.join(f'{name}={value}' for name, value in parameters.items())}"
    content: Any = text.encode() if isinstance(text, str) else text  # the stubs know of text only
    response = client.generic("POST", path, content, content_type="text/csv", headers=headers or {})
    assert response.status_code == status, response.content
    return response.json()


def fault_codes(answer: Any) -> list[tuple[str, str]]:
    return [(one["field"], one["code"]) for one in answer["error"]["fields"]]


def row_faults(answer: Any) -> list[tuple[int, str, str]]:
    return [(one["line"], one["field"], one["code"]) for one in answer["errors"]]


def stored() -> list[tuple[str, datetime, float]]:
    return list(PriceData.objects.order_by("interval", "at").values_list("interval", "at", "close"))


class TestWho:
    def test_it_is_for_staff_with_a_token(self) -> None:
        assert send(APIClient(), GOOD, status=401)["error"]["code"] == "not_authenticated"
        assert send(client_of(), GOOD, status=403)["error"]["code"] == "permission_denied"
        assert stored() == []


class TestDryRun:
    def test_it_changes_nothing_by_default_and_tells_what_it_would_do(self, staff: APIClient) -> None:
        answer = send(staff, GOOD)
        assert_documented(answer, quality_serializers.ImportSerializer())
        assert (answer["format"], answer["is_dry_run"], answer["rows"], answer["new"]) == ("slots", True, 2, 2)
        assert (answer["error_count"], answer["errors"], answer["coins"]) == (0, [], 1)
        assert stored() == []

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ("nothing,1h,2025-03-01T10:00Z,1,1,1,1,,", [("id", "unknown_coin")]),
            ("=cmd|' /C calc'!A0,1h,2025-03-01T10:00Z,1,1,1,1,,", [("id", "invalid")]),
            (",1h,2025-03-01T10:00Z,1,1,1,1,,", [("id", "required")]),
            ("bitcoin,4h,2025-03-01T10:00Z,1,1,1,1,,", [("interval", "invalid_choice")]),
            ("bitcoin,1h,2025-03-01T10:30Z,1,1,1,1,,", [("at", "off_grid")]),
            ("bitcoin,1h,yesterday,1,1,1,1,,", [("at", "invalid")]),
            ("bitcoin,1h,0001-01-01T00:00+14:00,1,1,1,1,,", [("at", "invalid")]),
            ("bitcoin,1h,9999-12-31T23:00Z,1,1,1,1,,", [("at", "in_future")]),
            ("bitcoin,1h,1999-03-01T10:00Z,1,1,1,1,,", [("at", "out_of_range")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1,0.5,1,1,,", [("high", "below_others")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1,1,2,1,,", [("high", "below_others"), ("low", "above_others")]),
            ("bitcoin,1h,2025-03-01T10:00Z,0,1,1,,,", [("open", "not_positive"), ("close", "required")]),
            ("bitcoin,1h,2025-03-01T10:00Z,nan,1,1,1,,", [("open", "invalid")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1_000,1,1,1,,", [("open", "invalid")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1e999,1,1,1,,", [("open", "invalid")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1,1,1,1,-5,", [("volume", "invalid")]),
            ("bitcoin,1h,2025-03-01T10:00Z,1,1,1,1", [("", "wrong_columns")]),
        ],
    )
    def test_it_names_the_line_the_column_and_the_fault(
        self, staff: APIClient, row: str, expected: list[tuple[str, str]]
    ) -> None:
        answer = send(staff, f"{GOOD}{row}\n")
        assert row_faults(answer) == [(4, name, code) for name, code in expected]
        assert answer["new"] == 2

    def test_it_finds_a_second_price_for_the_same_slot(self, staff: APIClient) -> None:
        answer = send(staff, GOOD + "bitcoin,1h,2025-03-01T12:00+02:00,1,1,1,1,,\n")
        assert row_faults(answer) == [(4, "at", "repeated_row")]
        assert "Line 2" in answer["errors"][0]["message"]

    def test_it_lists_a_hundred_faults_and_counts_them_all(self, staff: APIClient) -> None:
        answer = send(staff, SLOTS + "bitcoin,1h,x,1,1,1,1,,\n" * 130)
        assert (answer["error_count"], len(answer["errors"])) == (130, 100)


class TestImport:
    def test_it_stores_every_figure_and_takes_a_cap_of_zero_for_unknown(self, staff: APIClient) -> None:
        answer = send(staff, GOOD, dry_run="false")
        assert (answer["is_dry_run"], answer["new"]) == (False, 2)
        rows = list(
            PriceData.objects.order_by("at").values_list("open", "high", "low", "close", "volume_24h", "market_cap")
        )
        assert rows == [(10, 12, 9, 11, 500, 7000), (11, 11, 11, 11, None, None)]

    def test_it_changes_nothing_the_second_time(self, staff: APIClient) -> None:
        send(staff, GOOD, dry_run="false")
        before = list(PriceData.objects.values())
        runs = SyncRun.objects.count()
        answer = send(staff, GOOD, dry_run="false")
        assert (answer["new"], answer["changed"], answer["unchanged"]) == (0, 0, 2)
        assert (list(PriceData.objects.values()), SyncRun.objects.count()) == (before, runs)

    def test_it_keeps_what_a_file_replaced_and_does_not_call_it_upstream_s(
        self, staff: APIClient, bitcoin: Cryptocurrency
    ) -> None:
        at = datetime(2025, 3, 1, 10, tzinfo=UTC)
        PriceData.objects.create(coin=bitcoin, interval="1h", at=at, open=10, high=12, low=9, close=10, samples=1)
        send(staff, GOOD, dry_run="false")
        change = Restatement.objects.get()
        assert (change.field, change.old_value, change.new_value) == ("close", 10, 11)
        assert change.stated_by == Restatement.Source.IMPORT

    def test_it_stores_nothing_when_one_row_is_wrong(self, staff: APIClient) -> None:
        answer = send(staff, GOOD + "bitcoin,1h,2025-03-01T12:00Z,1,1,1,none,,\n", dry_run="false", status=400)
        assert answer["error"]["code"] == "invalid"
        assert fault_codes(answer) == [("lines.4.close", "invalid")]
        assert stored() == []

    def test_it_reads_a_date_s_price_as_the_open_of_its_day_and_the_close_of_the_day_before(
        self, staff: APIClient
    ) -> None:
        text = DAYS + "bitcoin,2025-03-02,20,,\nbitcoin,2025-03-01,10,5,6\nbitcoin,2025-03-05,50,,\n"
        answer = send(staff, text, dry_run="false")
        assert (answer["format"], answer["new"], answer["left_out"]) == ("daily", 1, 2)
        row = PriceData.objects.get()
        assert (row.at, row.open, row.close) == (datetime(2025, 3, 1, tzinfo=UTC), 10, 20)

    def test_it_keeps_rows_that_were_made_of_more_prices(self, staff: APIClient, bitcoin: Cryptocurrency) -> None:
        PriceData.objects.create(
            coin=bitcoin,
            interval="1h",
            at=datetime(2025, 3, 1, 10, tzinfo=UTC),
            open=1,
            high=1,
            low=1,
            close=1,
            samples=12,
        )
        answer = send(staff, GOOD, dry_run="false")
        assert (answer["kept_richer"], answer["new"]) == (1, 1)
        assert PriceData.objects.get(samples=12).close == 1

    def test_it_checks_what_it_stored_for_faults(self, staff: APIClient) -> None:
        prices = wander(60)
        prices[50], prices[51] = prices[49] * 0.1, prices[49]
        days = [f"bitcoin,{datetime(2025, 1, 1, tzinfo=UTC) + i * timedelta(days=1):%Y-%m-%d},{p},,"
                for i, p in enumerate(prices.tolist())]  # fmt: skip
        send(staff, DAYS + "\n".join(days), dry_run="false")
        assert DataFault.objects.get().kind == "outlier"
        assert PriceData.objects.filter(is_quarantined=True).count() == 2

    def test_it_takes_a_form_with_a_file(self, staff: APIClient) -> None:
        upload = SimpleUploadedFile("prices.csv", GOOD.encode())
        response = staff.post(f"{PATH}?dry_run=false", {"file": upload}, format="multipart")
        assert (response.status_code, response.json()["new"]) == (200, 2)
        response = staff.post(PATH, {"file": SimpleUploadedFile("p.csv", GOOD.encode()), "x": "1"}, format="multipart")
        assert fault_codes(response.json()) == [("x", "unknown_field")]

    def test_it_takes_effect_once_for_one_idempotency_key(self, staff: APIClient) -> None:
        key = {"Idempotency-Key": "import-1"}
        first = send(staff, GOOD, dry_run="false", headers=key)
        PriceData.objects.all().delete()
        assert send(staff, GOOD, dry_run="false", headers=key) == first
        assert stored() == []
        assert send(staff, GOOD, dry_run="true", headers=key, status=422)["error"]["code"] == "idempotency_key_reused"
        assert send(staff, f"{GOOD}\n", dry_run="false", headers=key, status=422)["error"]["code"]

    def test_it_knows_a_form_s_file_again_by_what_it_holds(self, staff: APIClient) -> None:
        answers = [
            staff.post(
                f"{PATH}?dry_run=false",
                {"file": SimpleUploadedFile(name, GOOD.encode())},
                format="multipart",
                headers={"Idempotency-Key": "import-2"},
            )
            for name in ("a.csv", "b.csv")
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[1]["Idempotency-Replayed"] == "true"


class TestFile:
    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "required"),
            (b"a,b\n1,2\n", "bad_header"),
            (GOOD.replace(",", ";").encode(), "bad_header"),
            (GOOD.encode("utf-16"), "not_utf8"),
            (b"\xe9" + GOOD.encode(), "not_utf8"),
            (GOOD.encode() + b"\x00", "not_text"),
            (GOOD.encode() + b'"open quote', "not_csv"),
        ],
    )
    def test_it_refuses_a_file_that_it_cannot_read(self, staff: APIClient, content: bytes, code: str) -> None:
        assert fault_codes(send(staff, content, status=400)) == [("file", code)]

    def test_it_reads_what_spreadsheets_write(self, staff: APIClient) -> None:
        content = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b",,,,,,,,\r\n\r\n"
        assert send(staff, content)["new"] == 2

    def test_it_has_a_limit_of_size_and_of_rows(self, staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importing, "MAX_ROWS", 1)
        assert fault_codes(send(staff, GOOD, status=400)) == [("file", "too_many_rows")]
        large = b"x" * (importing.MAX_BYTES + 1)
        assert send(staff, large, status=413)["error"]["code"] == "too_large"

    def test_it_reads_csv_only_and_no_unknown_parameters(self, staff: APIClient, settings: Settings) -> None:
        response = staff.post(PATH, {"file": "x"}, format="json")
        assert response.json()["error"]["code"] == "unsupported_media_type"
        assert fault_codes(send(staff, GOOD, status=400, dryrun="false")) == [("dryrun", "unknown_parameter")]
        assert fault_codes(send(staff, GOOD, status=400, dry_run="perhaps")) == [("dry_run", "invalid")]
