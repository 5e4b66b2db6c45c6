# 1. Sign in
import httpx

api = httpx.Client(base_url="http://127.0.0.1:8000/api/v1/", timeout=10)
account = {"email": "you@example.com", "password": "put a long passphrase here"}

api.post("auth/register/", json=account).raise_for_status()
token = api.post("auth/token/", json=account).raise_for_status().json()["access"]
signed_in = {"Authorization": f"Bearer {token}"}

# 2. List coins
biggest = {"order": "rank", "page_size": 5}
coins = api.get("cryptocurrencies/", params=biggest).raise_for_status().json()
for coin in coins["results"]:
    print(coin["id"], coin["price_usd"], coin["as_of"], "stale" if coin["is_stale"] else "fresh")

# 3. Read the prices of a coin
month = {"range": "30d", "interval": "1d"}
prices = api.get("cryptocurrencies/bitcoin/prices/", params=month).raise_for_status().json()
for at, close in zip(prices["at"], prices["close"], strict=True):
    print(at, close)

# 4. Read its forecast
day = {"horizon_days": 1}
forecast = api.get("cryptocurrencies/bitcoin/forecast/", params=day).raise_for_status().json()
tomorrow = forecast["horizons"][0]
print("as of", forecast["as_of"], "stale:", forecast["is_stale"])
print("band:", tomorrow["band_80"])
print("baseline:", tomorrow["baseline"]["band_80"])
print("evidence:", tomorrow["evidence"])

# 5. Keep a portfolio
named = {"name": "Quick start"}
portfolio = api.post("portfolios/", json=named, headers=signed_in).raise_for_status().json()["id"]
purchase = {"coin": "bitcoin", "kind": "buy", "quantity": "0.25", "unit_price_usd": "60000"}
once = {**signed_in, "Idempotency-Key": f"first-purchase-{portfolio}"}
for _ in range(2):  # the second one changes nothing: the key is the same
    api.post(f"portfolios/{portfolio}/transactions/", json=purchase, headers=once).raise_for_status()
worth = api.get(f"portfolios/{portfolio}/valuation/", headers=signed_in).raise_for_status().json()
print(worth)

# 6. Ask only for what is new
first = api.get("cryptocurrencies/bitcoin/").raise_for_status()
again = api.get("cryptocurrencies/bitcoin/", headers={"If-None-Match": first.headers["ETag"]})
print(again.status_code)

# 7. Page through the ledger
address: str | None = "predictions/?page_size=2"
for _ in range(3):
    page = api.get(address).raise_for_status().json()
    print(page["results"][0]["chain"]["row_hash"])
    address = page["next"]
    if address is None:
        break

# 8. Understand an error
problem = api.get("cryptocurrencies/bitcoin/prices/", params={"range": "2w"})
print(problem.status_code, problem.json()["error"])

# 9. Give a program a token of its own
wanted = {"name": "Quick start", "scopes": ["read"]}
print(api.post("auth/tokens/", json=wanted, headers=signed_in).raise_for_status().json()["token"])
