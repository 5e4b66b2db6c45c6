# 1. Sign in
SITE=http://127.0.0.1:8000
ACCOUNT='{"email": "you@example.com", "password": "put a long passphrase here"}'
ask() { curl --silent --show-error --fail-with-body --max-time 10 "$@"; }
pick() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

ask "$SITE/api/v1/auth/register/" --json "$ACCOUNT"
TOKEN=$(ask "$SITE/api/v1/auth/token/" --json "$ACCOUNT" | pick '["access"]')

# 2. List coins
ask "$SITE/api/v1/cryptocurrencies/?order=rank&page_size=5"

# 3. Read the prices of a coin
ask "$SITE/api/v1/cryptocurrencies/bitcoin/prices/?range=30d&interval=1d"

# 4. Read its forecast
FORECAST=$(ask "$SITE/api/v1/cryptocurrencies/bitcoin/forecast/?horizon_days=1")
echo "as of $(pick '["as_of"]' <<< "$FORECAST"), stale: $(pick '["is_stale"]' <<< "$FORECAST")"
echo "band: $(pick '["horizons"][0]["band_80"]' <<< "$FORECAST")"
echo "baseline: $(pick '["horizons"][0]["baseline"]["band_80"]' <<< "$FORECAST")"
echo "evidence: $(pick '["horizons"][0]["evidence"]' <<< "$FORECAST")"

# 5. Keep a portfolio
PORTFOLIO=$(ask "$SITE/api/v1/portfolios/" --oauth2-bearer "$TOKEN" \
  --json '{"name": "Quick start"}' | pick '["id"]')
for attempt in 1 2; do  # the second one changes nothing: the key is the same
  ask "$SITE/api/v1/portfolios/$PORTFOLIO/transactions/" --oauth2-bearer "$TOKEN" \
    --header "Idempotency-Key: first-purchase-$PORTFOLIO" \
    --json '{"coin": "bitcoin", "kind": "buy", "quantity": "0.25", "unit_price_usd": "60000"}'
done
ask "$SITE/api/v1/portfolios/$PORTFOLIO/valuation/" --oauth2-bearer "$TOKEN"

# 6. Ask only for what is new
COIN="$SITE/api/v1/cryptocurrencies/bitcoin/"
ETAG=$(ask "$COIN" --head | tr -d '\r' | grep -i '^etag:' | cut -d ' ' -f 2)
ask "$COIN" --header "If-None-Match: $ETAG" --output /dev/null --write-out '%{http_code}\n'

# 7. Page through the ledger
NEXT="$SITE/api/v1/predictions/?page_size=2"
for page in 1 2 3; do
  ROWS=$(ask "$NEXT")
  pick '["results"][0]["chain"]["row_hash"]' <<< "$ROWS"
  NEXT=$(pick '["next"] or ""' <<< "$ROWS")
  [ -n "$NEXT" ] || break
done

# 8. Understand an error
curl --silent --max-time 10 "$SITE/api/v1/cryptocurrencies/bitcoin/prices/?range=2w"

# 9. Give a program a token of its own
ask "$SITE/api/v1/auth/tokens/" --oauth2-bearer "$TOKEN" \
  --json '{"name": "Quick start", "scopes": ["read"]}'
