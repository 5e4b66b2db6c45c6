"""What the site holds before the contract is tried on it: a market, forecasts old and new, people and their tokens."""

import json
import shutil
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.hashers import make_password
from django.core.management.color import no_style
from django.db import connection
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services as accounts
from accounts import tokens
from accounts.models import User
from cryptopredict.operations.models import TaskRun
from cryptopredict.operations.scheduling import seed_schedule
from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval, RejectedPoint, SyncRun
from portfolios import services as portfolios
from predictions import issuing, registry, scoring
from predictions.models import TrainedModel

PASSWORD = "correct horse battery"
COINS = ("bitcoin", "ethereum", "monero", "litecoin", "ripple", "dogecoin", "cardano")
DAYS = 260
DAY = timedelta(days=1)
LONG = timedelta(days=2)  # how long an access token of the run is good
FIRST_ID = 1000  # of the people whom the run signs in as: small ids are what a test generator draws
SPARE_PEOPLE = 60  # for operations that use up an account: deleting it, changing its password


def seed(*, folder: Path, task_id: str) -> dict[str, Any]:
    """Fills an empty database; returns the credentials of the run. `task_id` is that of the document's examples."""
    now = timezone.now()
    make_market(now)
    make_models(folder)
    make_forecasts(now)
    make_runs(now, task_id)
    seed_schedule()
    return make_people()


def make_market(now: datetime) -> None:
    random = np.random.default_rng(7)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for i, name in enumerate(COINS):
        coin = Cryptocurrency.objects.create(
            coingecko_id=name,
            symbol=name[:3],
            name=name.title(),
            is_tracked=True,
            market_cap_rank=i + 1,
            price_usd=100.0 + i,
            price_at=now,
            market_cap_usd=1e9 / (i + 1),
            volume_24h_usd=1e7 / (i + 1),
            change_1h_percent=0.1 * (i - 3),
            change_24h_percent=float(i - 3),
            change_7d_percent=2.0 * (i - 3),
        )
        write_slots(coin, Interval.DAY, midnight - DAY * DAYS, DAY, 100 * np.exp(steps(random, DAYS + 1, 0.03)))
        write_slots(coin, Interval.HOUR, hour - timedelta(hours=72), timedelta(hours=1), 100 + steps(random, 72, 0.1))


def steps(random: np.random.Generator, number: int, size: float) -> np.ndarray:
    return np.cumsum(size * random.standard_t(4, number))


def write_slots(
    coin: Cryptocurrency, interval: Interval, first: datetime, length: timedelta, closes: np.ndarray
) -> None:
    opens = [float(closes[0]), *map(float, closes[:-1])]
    rows = [
        (coin.pk, interval, Slot(first + i * length, o, max(o, c), min(o, c), c, 1e6, 1e9, 3))
        for i, (o, c) in enumerate(zip(opens, map(float, closes), strict=True))
    ]
    write_rows(rows=rows)


def make_models(folder: Path) -> None:
    """The starter model serves; a copy of it is a candidate that staff may promote."""
    starter = registry.install_starter_model()
    assert starter is not None
    copy = folder / "candidate"
    shutil.copytree(starter.folder, copy)
    TrainedModel.objects.create(
        version="candidate-1",
        state=TrainedModel.State.CANDIDATE,
        origin=TrainedModel.Origin.OWN,
        cutoff_on=starter.cutoff_on,
        folder=str(copy),
        manifest_sha256=starter.manifest_sha256,
        metrics=starter.metrics,
    )


def make_forecasts(now: datetime) -> None:
    """Some that were scored, some that wait."""
    for age in (40, 35, 12, 0):
        issuing.issue_forecasts(now=now - age * DAY)
    scoring.score_due_forecasts(now=now)


def make_runs(now: datetime, task_id: str) -> None:
    ids = count(1)
    for state in SyncRun.State.values:
        ended = None if state == SyncRun.State.RUNNING else now
        run = SyncRun.objects.create(kind=SyncRun.Kind.PRICES, state=state, total=7, done=7, finished_at=ended)
        RejectedPoint.objects.create(run=run, coingecko_id="bitcoin", reason="negative", value="-1")
    for state in TaskRun.State.values:
        TaskRun.objects.create(
            task_id=task_id if state == TaskRun.State.SUCCEEDED else f"seeded-{next(ids)}",
            name="markets.cleanup_old_data",
            state=state,
            queue="ingest",
            queued_at=now - DAY,
        )


def make_people() -> dict[str, Any]:
    encoded = make_password(PASSWORD)

    def person(number: int, **fields: Any) -> User:
        fields.setdefault("email", f"person-{number}@example.org")
        made = User(pk=number, password=encoded, **fields)
        made.save(force_insert=True)
        EmailAddress.objects.create(user=made, email=made.email, verified=False, primary=True)
        return made

    for number in (1, 2, 3):
        person(number)
    staff = person(FIRST_ID, is_staff=True, is_superuser=True)
    ada = person(FIRST_ID + 1, email="ada@example.org")  # as the examples of the document call her
    spare = [person(FIRST_ID + 2 + i) for i in range(SPARE_PEOPLE)]
    make_belongings(ada)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [User]):
            cursor.execute(statement)
    return {
        "people": [staff.pk, ada.pk],
        "staff": accounts.create_api_token(user=staff, name="contract", scopes=["read", "write", "staff"])[1],
        "user": access(ada),
        "spare": [spare_of(one) for one in spare],
    }


def make_belongings(ada: User) -> None:
    """Two portfolios, a transaction and a token, which the examples of the document name by their first ids."""
    coin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    portfolio = portfolios.create_portfolio(owner=ada, name="Everyday")
    portfolios.add_transaction(
        portfolio=portfolio, coin=coin, kind="buy", quantity=Decimal(3), unit_price_usd=Decimal(90)
    )
    portfolios.create_portfolio(owner=ada, name="To delete")
    portfolios.watch_coin(user=ada, coin=coin)
    accounts.create_api_token(user=ada, name="Nightly report", scopes=["read"])


def access(user: User) -> str:
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=LONG)
    return str(token)


def spare_of(user: User) -> dict[str, str]:
    """All that lets one use up an account: tokens, and the keys of mailed links."""
    return {
        "email": user.email,
        "access": access(user),
        "refresh": tokens.issue_tokens(user).refresh,
        "verify_key": EmailConfirmationHMAC(EmailAddress.objects.get(user=user)).key,
        "reset_key": f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}",
    }


def main(folder: str, task_id: str) -> None:
    path = Path(folder)
    path.joinpath("credentials.json").write_text(json.dumps(seed(folder=path, task_id=task_id)))
