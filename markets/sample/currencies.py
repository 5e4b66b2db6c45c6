"""The quote currencies: a fixed table of units for one US dollar, invented and round."""

from typing import NamedTuple

from markets.sample import errors


class Currency(NamedTuple):
    """A quote currency; `per_usd` is how many of its units one US dollar buys."""

    name: str
    unit: str
    kind: str
    per_usd: float


def _crypto(name: str, unit: str, price_usd: float) -> Currency:
    return Currency(name, unit, "crypto", 1.0 / price_usd)


def _fiat(name: str, unit: str, per_usd: float) -> Currency:
    return Currency(name, unit, "fiat", per_usd)


CURRENCIES: dict[str, Currency] = {
    "btc": _crypto("Bitcoin", "BTC", 50_000.0),
    "eth": _crypto("Ether", "ETH", 2_500.0),
    "ltc": _crypto("Litecoin", "LTC", 80.0),
    "bch": _crypto("Bitcoin Cash", "BCH", 400.0),
    "bnb": _crypto("Binance Coin", "BNB", 400.0),
    "eos": _crypto("EOS", "EOS", 0.5),
    "xrp": _crypto("XRP", "XRP", 0.8),
    "xlm": _crypto("Lumens", "XLM", 0.2),
    "link": _crypto("Chainlink", "LINK", 12.5),
    "dot": _crypto("Polkadot", "DOT", 5.0),
    "yfi": _crypto("Yearn.finance", "YFI", 5_000.0),
    "sol": _crypto("Solana", "SOL", 100.0),
    "usd": _fiat("US Dollar", "$", 1.0),
    "aed": _fiat("United Arab Emirates Dirham", "DH", 3.67),
    "ars": _fiat("Argentine Peso", "$", 1_000.0),
    "aud": _fiat("Australian Dollar", "A$", 1.5),
    "bdt": _fiat("Bangladeshi Taka", "৳", 120.0),
    "bhd": _fiat("Bahraini Dinar", "BD", 0.376),
    "bmd": _fiat("Bermudian Dollar", "$", 1.0),
    "brl": _fiat("Brazil Real", "R$", 5.5),
    "cad": _fiat("Canadian Dollar", "CA$", 1.4),
    "chf": _fiat("Swiss Franc", "Fr.", 0.85),
    "clp": _fiat("Chilean Peso", "CLP$", 950.0),
    "cny": _fiat("Chinese Yuan", "¥", 7.2),
    "czk": _fiat("Czech Koruna", "Kč", 23.0),
    "dkk": _fiat("Danish Krone", "kr.", 6.8),
    "eur": _fiat("Euro", "€", 0.9),
    "gbp": _fiat("British Pound Sterling", "£", 0.8),
    "gel": _fiat("Georgian Lari", "₾", 2.7),
    "hkd": _fiat("Hong Kong Dollar", "HK$", 7.8),
    "huf": _fiat("Hungarian Forint", "Ft", 360.0),
    "idr": _fiat("Indonesian Rupiah", "Rp", 16_000.0),
    "ils": _fiat("Israeli New Shekel", "₪", 3.7),
    "inr": _fiat("Indian Rupee", "₹", 84.0),
    "jpy": _fiat("Japanese Yen", "¥", 150.0),
    "krw": _fiat("South Korean Won", "₩", 1_350.0),
    "kwd": _fiat("Kuwaiti Dinar", "KD", 0.31),
    "lkr": _fiat("Sri Lankan Rupee", "Rs", 300.0),
    "mmk": _fiat("Burmese Kyat", "K", 2_100.0),
    "mxn": _fiat("Mexican Peso", "MX$", 19.0),
    "myr": _fiat("Malaysian Ringgit", "RM", 4.4),
    "ngn": _fiat("Nigerian Naira", "₦", 1_500.0),
    "nok": _fiat("Norwegian Krone", "kr", 10.8),
    "nzd": _fiat("New Zealand Dollar", "NZ$", 1.65),
    "php": _fiat("Philippine Peso", "₱", 57.0),
    "pkr": _fiat("Pakistani Rupee", "₨", 280.0),
    "pln": _fiat("Polish Zloty", "zł", 3.9),
    "rub": _fiat("Russian Ruble", "₽", 90.0),
    "sar": _fiat("Saudi Riyal", "SR", 3.75),
    "sek": _fiat("Swedish Krona", "kr", 10.5),
    "sgd": _fiat("Singapore Dollar", "S$", 1.35),
    "thb": _fiat("Thai Baht", "฿", 34.0),
    "try": _fiat("Turkish Lira", "₺", 34.0),
    "twd": _fiat("New Taiwan Dollar", "NT$", 32.0),
    "uah": _fiat("Ukrainian hryvnia", "₴", 41.0),
    "vef": _fiat("Venezuelan bolívar fuerte", "Bs.F", 0.1),
    "vnd": _fiat("Vietnamese đồng", "₫", 25_000.0),
    "zar": _fiat("South African Rand", "R", 18.0),
    "xdr": _fiat("IMF Special Drawing Rights", "XDR", 0.75),
    "xag": Currency("Silver - Troy Ounce", "XAG", "commodity", 1.0 / 30.0),
    "xau": Currency("Gold - Troy Ounce", "XAU", "commodity", 1.0 / 2_400.0),
    "bits": _crypto("Bits", "μBTC", 0.05),
    "sats": _crypto("Satoshi", "sats", 0.0005),
}


def units_per_usd(code: str) -> float:
    """Return how many units of a currency one US dollar buys; ApiError 400 for an unknown code."""
    currency = CURRENCIES.get(code.lower())
    if currency is None:
        raise errors.plain(400, "invalid vs_currency")
    return currency.per_usd


def in_all_currencies(usd: float) -> dict[str, float]:
    """Return a dollar amount in every currency, as the detail of a coin gives it."""
    return {code: usd * currency.per_usd for code, currency in CURRENCIES.items()}
