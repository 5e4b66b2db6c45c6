"""What the generated client is like to use: python example.py http://127.0.0.1:8000 you@example.com 'a passphrase'"""

import sys
from typing import TypeVar
from uuid import uuid4

from cryptopredict_client import AuthenticatedClient, Client
from cryptopredict_client.api.auth import auth_register_create, auth_token_create
from cryptopredict_client.api.cryptocurrencies import cryptocurrencies_list
from cryptopredict_client.api.forecasts import forecast_retrieve
from cryptopredict_client.api.portfolios import (
    portfolios_create,
    portfolios_transactions_create,
    portfolios_transactions_list,
    portfolios_valuation_retrieve,
)
from cryptopredict_client.models import (
    CredentialsRequest,
    Error,
    Forecast,
    PaginatedCoinRowList,
    PaginatedTransactionList,
    Portfolio,
    PortfolioRequest,
    RegistrationRequest,
    TokenPair,
    Transaction,
    TransactionKindEnum,
    TransactionRequest,
    Valuation,
)

Answer = TypeVar("Answer")


def expect(kind: type[Answer], answer: object) -> Answer:
    """The answer, if it is of this kind; an error of the API ends the program with its code and faults."""
    if isinstance(answer, Error):
        faults = "; ".join(f"{fault.field}: {fault.message}" for fault in answer.error.fields)
        sys.exit(f"{answer.error.code}: {answer.error.message} {faults}")
    assert isinstance(answer, kind), answer
    return answer


def sign_in(site: str, email: str, password: str) -> AuthenticatedClient:
    with Client(base_url=site) as client:
        auth_register_create.sync(client=client, body=RegistrationRequest(email=email, password=password))
        found = auth_token_create.sync(client=client, body=CredentialsRequest(email=email, password=password))
    return AuthenticatedClient(base_url=site, token=expect(TokenPair, found).access)


def main(site: str, email: str, password: str) -> None:
    with sign_in(site, email, password) as client:
        coins = expect(PaginatedCoinRowList, cryptocurrencies_list.sync(client=client, page_size=5))
        for coin in coins.results:
            print(coin.id, coin.price_usd, coin.as_of, "stale" if coin.is_stale else "fresh")

        fan = expect(Forecast, forecast_retrieve.sync("bitcoin", client=client))
        for one in fan.horizons:
            band, baseline = one.band_80, one.baseline.band_80
            print(one.horizon_days, band.low, band.high, "baseline:", baseline.low, baseline.high, one.evidence.label)

        portfolio = expect(Portfolio, portfolios_create.sync(client=client, body=PortfolioRequest(name="By example")))
        bought = TransactionRequest(
            coin="bitcoin", kind=TransactionKindEnum.BUY, quantity="0.25", unit_price_usd="60000"
        )  # fmt: skip
        key = str(uuid4())
        for _ in range(2):  # the second one changes nothing: the key is the same
            made = portfolios_transactions_create.sync(portfolio.id, client=client, body=bought, idempotency_key=key)
            expect(Transaction, made)
        rows = expect(PaginatedTransactionList, portfolios_transactions_list.sync(portfolio.id, client=client))
        worth = expect(Valuation, portfolios_valuation_retrieve.sync(portfolio.id, client=client))
        print(rows.count, "transaction,", "worth", worth.value_usd)

        refused = portfolios_transactions_create.sync_detailed(
            portfolio.id,
            client=client,
            body=TransactionRequest(coin="bitcoin", kind=TransactionKindEnum.SELL, quantity="1"),
        )
        assert isinstance(refused.parsed, Error), refused
        print(refused.status_code, refused.parsed.error.code)


if __name__ == "__main__":
    main(*sys.argv[1:])
