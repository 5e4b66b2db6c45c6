"""The small world that the access matrix asks about: people of every kind, and a row of everything that has one."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.models import Group
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import ApiToken, User
from accounts.tokens import issue_tokens
from cryptopredict.operations.models import TaskRun
from cryptopredict.operations.scheduling import seed_schedule
from markets.models import Cryptocurrency, SyncRun
from portfolios import services
from predictions import registry
from predictions.models import TrainedModel
from predictions.tests.conftest import copy_of, write_days
from predictions.tests.ledger import make_fan

PASSWORD = "correct horse battery"
MARK = "owners-own"  # stands in every row of the owner's, so that it is seen wherever it leaks
OWN_COIN = f"{MARK}-coin"
HISTORY_DAYS = 120

ROLES = {
    "staff without a role": None, "support": "support", "operator": "operator", "administrator": "administrator",
}  # fmt: skip


class World:
    """People by name, their credentials, and the values that paths are filled with."""

    def __init__(self, folder: Path) -> None:
        self.people = make_people()
        self.sessions = {name: session_of(self.people[name]) for name in ("owner", "administrator")}
        self._refresh = {name: issue_tokens(one).refresh for name, one in self.people.items() if one.is_active}
        self.secrets: dict[str, str] = {}
        self.values: dict[str, object] = {"coingecko_id": "bitcoin", "coin_id": "ethereum", "name": "Sync all prices"}
        coins = make_coins()
        self.make_models(folder, coins[0])
        self.make_own_rows(coins[2])
        self.make_jobs()

    def access_of(self, name: str) -> str:
        return str(AccessToken.for_user(self.people[name]))

    def refresh_of(self, name: str) -> str:
        return self._refresh[name]

    def reset_key(self, name: str) -> str:
        person = self.people[name]
        return f"{user_pk_to_url_str(person)}-{default_token_generator.make_token(person)}"

    def confirmation_key(self, name: str) -> str:
        return EmailConfirmationHMAC(EmailAddress.objects.get(user=self.people[name])).key

    def api_token(self, name: str, scopes: frozenset[str], **columns: object) -> str:
        """The secret of a token of this person's with just these scopes, made when it is first asked for."""
        key = f"{name} {sorted(scopes)} {sorted(columns)}"
        if key not in self.secrets:
            self.secrets[key] = secret = ApiToken.draw_secret()
            # Its last use is written at most once a minute, so a request with this one writes nothing of its own.
            used_at = timezone.now() + timedelta(days=1)
            label = MARK if name == "owner" else "A program"
            values = {"name": label, "scopes": sorted(scopes), "last_used_at": used_at, **columns}
            start, digest = secret[: ApiToken.SHOWN], ApiToken.digest_of(secret)
            ApiToken.objects.create(user=self.people[name], start=start, digest=digest, **values)
        return self.secrets[key]

    def make_models(self, folder: Path, coin: Cryptocurrency) -> None:
        """A champion that took the place of the starter model, a candidate, and a fan in the ledger."""
        starter = registry.install_starter_model()
        assert starter is not None
        self.values["prediction_id"] = make_fan(coin, starter)[0].pk
        successor = copy_of(starter, folder, "successor")
        TrainedModel.objects.filter(pk=successor.pk).update(reference=starter.reference)
        registry.promote(model=successor, reason="A test.")
        candidate = copy_of(starter, folder, "candidate")
        self.values |= {"version": successor.version, "candidate_version": candidate.version}

    def make_own_rows(self, coin: Cryptocurrency) -> None:
        """A portfolio with a transaction, a watched coin and an API token of the owner's."""
        owner = self.people["owner"]
        portfolio = services.create_portfolio(owner=owner, name=f"{MARK} savings")
        entry = services.add_transaction(
            portfolio=portfolio, coin=coin, kind="buy", quantity=Decimal(1), unit_price_usd=Decimal(1),
            fee_usd=Decimal(0), occurred_at=timezone.now() - timedelta(days=2), note=MARK,
        )  # fmt: skip
        services.watch_coin(user=owner, coin=coin)
        self.api_token("owner", frozenset({"read"}))
        self.values |= {
            "portfolio_id": portfolio.pk, "transaction_id": entry.pk, "watched_coin_id": coin.coingecko_id,
            "token_id": ApiToken.objects.get(user=owner).pk, "user_id": self.people["somebody"].pk,
            "inactive_user_id": self.people["deactivated"].pk,
        }  # fmt: skip

    def make_jobs(self) -> None:
        """The schedule, a sync, a job that waits and one that has ended."""
        seed_schedule()
        now = timezone.now()
        sync = SyncRun.objects.create(kind="prices", state="succeeded", finished_at=now)
        TaskRun.objects.create(task_id="waits", name="markets.check_data_quality", queue="ingest")
        ended = {"state": "failed", "finished_at": now, "queue": "ingest"}
        TaskRun.objects.create(task_id="ended", name="markets.discover_new_cryptocurrencies", **ended)
        TaskRun.objects.create(task_id="trained", name="predictions.train_model", **ended)
        self.values |= {"run_id": sync.pk, "task_id": "ended", "queued_task_id": "waits", "training_id": "trained"}


def make_people() -> dict[str, User]:
    people = {
        "owner": User.objects.create_user("owner@example.org", PASSWORD, name=MARK),
        "other": User.objects.create_user("other@example.org", PASSWORD),
        "somebody": User.objects.create_user("somebody@example.org", PASSWORD),
        "superuser": User.objects.create_superuser("superuser@example.org", PASSWORD),
        "deactivated": User.objects.create_user("deactivated@example.org", PASSWORD, is_active=False),
    }
    EmailAddress.objects.create(user=people["owner"], email="owner@example.org", primary=True)
    for name, role in ROLES.items():
        people[name] = User.objects.create_user(f"{name.replace(' ', '-')}@example.org", PASSWORD, is_staff=True)
        if role:
            people[name].groups.add(Group.objects.get(name=role))
    return people


def session_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    return client.cookies["sessionid"].value


def make_coins() -> list[Cryptocurrency]:
    """Three tracked coins with a history that ends today, and one that nobody tracks yet."""
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    coins = []
    for place, name in enumerate(("bitcoin", "ethereum", OWN_COIN)):
        coin = Cryptocurrency.objects.create(
            coingecko_id=name, symbol=name[:3], name=name.title(), is_tracked=True, market_cap_rank=place + 1,
            price_usd=100.0, price_at=now, market_cap_usd=1e9, volume_24h_usd=1e6,
        )  # fmt: skip
        prices = [100 + place + 7 * ((day * (place + 3)) % 11) / 11 for day in range(HISTORY_DAYS)]
        write_days(coin, prices, last_close_at=midnight)
        coins.append(coin)
    Cryptocurrency.objects.create(coingecko_id="dogecoin", symbol="doge", name="Dogecoin")
    return coins
