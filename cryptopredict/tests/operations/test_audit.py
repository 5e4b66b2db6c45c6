"""The audit log: whatever staff do leaves one entry, and nothing takes an entry away."""

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import User
from cryptopredict.operations import audit
from cryptopredict.operations.adminsite import AuditedAdmin
from cryptopredict.operations.models import AuditEntry
from markets.models import Cryptocurrency

API = audit.Channel.API


@pytest.fixture
def admin_client(db: None) -> Client:
    User.objects.create_superuser("root@example.org", "correct horse battery")
    client = Client()
    client.force_login(User.objects.get(email="root@example.org"))
    return client


@pytest.mark.django_db
class TestLog:
    def test_it_keeps_who_did_what_even_when_the_account_is_gone(self, staff_user: User) -> None:
        entry = audit.record(staff_user, "task.run", "x" * 500, reason="y" * 500, detail={"n": 1}, channel=API)
        pk = staff_user.pk
        staff_user.delete()
        entry.refresh_from_db()
        assert (entry.actor_id, entry.actor, entry.detail) == (pk, "staff@example.org", {"n": 1})
        assert (len(entry.target), len(entry.reason)) == (200, 300)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE operations_auditentry SET actor = 'somebody else'",
            "DELETE FROM operations_auditentry",
        ],
    )
    def test_its_entries_cannot_be_changed_or_deleted_by_any_sql(self, staff_user: User, statement: str) -> None:
        audit.record(staff_user, "task.run", "job", channel=API)
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        assert AuditEntry.objects.get().actor == "staff@example.org"

    def test_its_entries_cannot_be_changed_through_the_model_either(self, staff_user: User) -> None:
        entry = audit.record(staff_user, "task.run", "job", channel=API)
        entry.at = datetime(2020, 1, 1, tzinfo=UTC)
        with pytest.raises(IntegrityError), transaction.atomic():
            entry.save()
        with pytest.raises(IntegrityError), transaction.atomic():
            entry.delete()


@pytest.mark.django_db
class TestAdmin:
    def test_it_stands_before_every_page_of_the_admin(self) -> None:
        assert len(admin.site._registry) > 10
        assert all(isinstance(model_admin, AuditedAdmin) for model_admin in admin.site._registry.values())

    def test_it_logs_an_action_with_its_rows(self, admin_client: Client) -> None:
        coins = [Cryptocurrency.objects.create(coingecko_id=name, symbol="x", name=name) for name in ("a", "b", "c")]
        data = {"action": "track", "_selected_action": [coin.pk for coin in coins[:2]]}
        admin_client.post("/admin/markets/cryptocurrency/", data)
        assert Cryptocurrency.objects.tracked().count() == 2
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.channel) == ("admin.track", "root@example.org", "admin")
        assert entry.detail == {"count": 2, "ids": [str(coin.pk) for coin in coins[:2]]}

    def test_it_undoes_an_action_that_cannot_be_logged(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        coin = Cryptocurrency.objects.create(coingecko_id="a", symbol="x", name="a")

        def refuse(*args: object, **options: object) -> None:
            raise RuntimeError("no log")

        monkeypatch.setattr(audit, "record", refuse)
        with pytest.raises(RuntimeError, match="no log"):
            admin_client.post("/admin/markets/cryptocurrency/", {"action": "track", "_selected_action": [coin.pk]})
        assert not Cryptocurrency.objects.tracked().exists()

    def test_it_logs_what_is_added_changed_and_deleted_by_form(self, admin_client: Client) -> None:
        form = {"email": "new@example.org", "name": "", "usable_password": "false"}
        admin_client.post("/admin/accounts/user/add/", form)
        made = User.objects.get(email="new@example.org")
        admin_client.post(f"/admin/accounts/user/{made.pk}/delete/", {"post": "yes"})
        found = list(AuditEntry.objects.order_by("pk").values_list("action", "target"))
        target = f"accounts.user {made.pk}: new@example.org"
        assert found == [("admin.add", target), ("admin.delete", target)]

    def test_it_logs_the_deletion_of_chosen_rows_once_it_is_confirmed(self, admin_client: Client) -> None:
        users = [User.objects.create_user(f"u{i}@example.org", "correct horse battery") for i in range(2)]
        data = {"action": "delete_selected", "_selected_action": [user.pk for user in users]}
        admin_client.post("/admin/accounts/user/", data)
        assert not AuditEntry.objects.exists(), "it only asks whether it should"
        admin_client.post("/admin/accounts/user/", {**data, "post": "yes"})
        assert AuditEntry.objects.filter(action="admin.delete").count() == 2

    def test_its_own_pages_cannot_change_it(self, admin_client: Client, staff_user: User) -> None:
        entry = audit.record(staff_user, "task.run", "job", channel=API)
        assert admin_client.get("/admin/operations/auditentry/?q=job").status_code == 200
        assert admin_client.get(f"/admin/operations/auditentry/{entry.pk}/change/").status_code == 200
        assert admin_client.get("/admin/operations/auditentry/add/").status_code == 403
        assert admin_client.post(f"/admin/operations/auditentry/{entry.pk}/delete/").status_code == 403
