"""The coins of the simulated market: real CoinGecko ids and symbols, invented prices and supplies."""

from dataclasses import dataclass
from datetime import date

YOUNG_COIN_COUNT = 3
YOUNG_COIN_SPACING_DAYS = 28  # three coins on this grid are always younger than 84 days


@dataclass(frozen=True)
class CoinSpec:
    """How one simulated coin behaves.

    `level_usd` is the price to which it slowly returns, `own_volatility` the daily standard deviation of
    its own shocks, `beta` its loading on the common factor; a `is_pegged` coin hugs its level instead.
    """

    id: str
    symbol: str
    name: str
    level_usd: float
    supply: float
    own_volatility: float = 0.03
    beta: float = 1.0
    max_supply: float | None = None
    category: str = "layer-1"
    listed_on: date = date(2019, 1, 1)
    is_pegged: bool = False


def _pegged(coin_id: str, symbol: str, name: str, supply: float) -> CoinSpec:
    return CoinSpec(coin_id, symbol, name, 1.0, supply, 0.0008, 0.0, None, "stablecoins", is_pegged=True)


_SPECS: tuple[CoinSpec, ...] = (
    CoinSpec("bitcoin", "btc", "Bitcoin", 52_000.0, 20e6, 0.012, 1.0, 21e6),
    CoinSpec("ethereum", "eth", "Ethereum", 2_600.0, 120e6, 0.02, 1.15),
    _pegged("tether", "usdt", "Tether", 120e9),
    CoinSpec("binancecoin", "bnb", "BNB", 420.0, 140e6, 0.022, 0.9, 200e6),
    CoinSpec("solana", "sol", "Solana", 110.0, 540e6, 0.035, 1.3),
    _pegged("usd-coin", "usdc", "USDC", 45e9),
    CoinSpec("ripple", "xrp", "XRP", 0.9, 58e9, 0.033, 1.0, 100e9),
    CoinSpec("dogecoin", "doge", "Dogecoin", 0.15, 150e9, 0.04, 1.2, None, "meme-token"),
    CoinSpec("tron", "trx", "TRON", 0.2, 95e9, 0.02, 0.6),
    CoinSpec("cardano", "ada", "Cardano", 0.5, 36e9, 0.031, 1.2, 45e9),
    CoinSpec("chainlink", "link", "Chainlink", 14.0, 650e6, 0.034, 1.2, 1e9, "oracle"),
    CoinSpec("avalanche-2", "avax", "Avalanche", 24.0, 420e6, 0.037, 1.3, 720e6, "layer-1", date(2020, 9, 22)),
    CoinSpec("stellar", "xlm", "Stellar", 0.2, 31e9, 0.03, 1.0, 50e9),
    CoinSpec("bitcoin-cash", "bch", "Bitcoin Cash", 380.0, 20e6, 0.032, 1.1, 21e6),
    CoinSpec("litecoin", "ltc", "Litecoin", 85.0, 76e6, 0.027, 1.1, 84e6),
    CoinSpec("polkadot", "dot", "Polkadot", 5.0, 1.5e9, 0.031, 1.2, None, "layer-0", date(2020, 8, 19)),
    CoinSpec("the-open-network", "ton", "Toncoin", 3.1, 2.5e9, 0.033, 0.9, None, "layer-1", date(2021, 8, 28)),
    CoinSpec("shiba-inu", "shib", "Shiba Inu", 1.4e-5, 589e12, 0.042, 1.2, None, "meme-token", date(2020, 8, 1)),
    _pegged("dai", "dai", "Dai", 5e9),
    CoinSpec("uniswap", "uni", "Uniswap", 7.5, 600e6, 0.037, 1.2, 1e9, "defi", date(2020, 9, 17)),
    CoinSpec("monero", "xmr", "Monero", 190.0, 18.4e6, 0.026, 0.8, None, "privacy-coins"),
    CoinSpec("hedera-hashgraph", "hbar", "Hedera", 0.09, 42e9, 0.036, 1.1, 50e9, "layer-1", date(2019, 9, 17)),
    CoinSpec("sui", "sui", "Sui", 1.6, 3.5e9, 0.041, 1.3, 10e9, "layer-1", date(2023, 5, 3)),
    CoinSpec("aptos", "apt", "Aptos", 6.0, 650e6, 0.04, 1.2, None, "layer-1", date(2022, 10, 19)),
    CoinSpec("near", "near", "NEAR Protocol", 3.4, 1.2e9, 0.038, 1.3, None, "layer-1", date(2020, 10, 14)),
    CoinSpec(
        "internet-computer",
        "icp",
        "Internet Computer",
        8.0,
        480e6,
        0.038,
        1.2,
        None,
        "layer-1",
        date(2021, 5, 10),
    ),
    CoinSpec("ethereum-classic", "etc", "Ethereum Classic", 20.0, 150e6, 0.034, 1.1, 210.7e6),
    CoinSpec("aave", "aave", "Aave", 120.0, 15e6, 0.037, 1.2, 16e6, "defi", date(2020, 10, 3)),
    CoinSpec("cosmos", "atom", "Cosmos Hub", 7.0, 390e6, 0.034, 1.1, None, "layer-0", date(2019, 3, 15)),
    CoinSpec("vechain", "vet", "VeChain", 0.027, 81e9, 0.034, 1.1, 86.7e9),
    CoinSpec("filecoin", "fil", "Filecoin", 4.2, 600e6, 0.036, 1.2, None, "storage", date(2020, 10, 15)),
    CoinSpec("algorand", "algo", "Algorand", 0.22, 8.2e9, 0.035, 1.1, 10e9, "layer-1", date(2019, 6, 22)),
    CoinSpec("arbitrum", "arb", "Arbitrum", 0.7, 4.5e9, 0.036, 1.2, 10e9, "layer-2", date(2023, 3, 23)),
    CoinSpec("optimism", "op", "Optimism", 1.3, 1.4e9, 0.039, 1.3, 4.29e9, "layer-2", date(2022, 6, 1)),
    CoinSpec("maker", "mkr", "Maker", 1_300.0, 0.9e6, 0.032, 0.9, 1.005e6, "defi"),
    CoinSpec("tezos", "xtz", "Tezos", 0.9, 1.02e9, 0.032, 1.1),
    CoinSpec("eos", "eos", "EOS", 0.7, 1.5e9, 0.034, 1.1, 2.1e9),
    CoinSpec("the-sandbox", "sand", "The Sandbox", 0.4, 2.4e9, 0.04, 1.2, 3e9, "gaming", date(2020, 8, 14)),
    CoinSpec("decentraland", "mana", "Decentraland", 0.4, 1.9e9, 0.038, 1.1, None, "gaming"),
    CoinSpec("pepe", "pepe", "Pepe", 6e-6, 420.69e12, 0.05, 1.3, 420.69e12, "meme-token", date(2023, 4, 18)),
    CoinSpec("bonk", "bonk", "Bonk", 1.1e-5, 75e12, 0.052, 1.3, None, "meme-token", date(2022, 12, 29)),
    CoinSpec(
        "pax-gold",
        "paxg",
        "PAX Gold",
        2_400.0,
        0.25e6,
        0.008,
        0.02,
        None,
        "tokenized-gold",
        date(2019, 9, 27),
    ),
    _pegged("falcon-finance", "usdf", "Falcon USD", 1.6e9),
    _pegged("astherus-usdf", "usdf", "Aster USDF", 110e6),
    CoinSpec("mog-coin", "mog", "Mog Coin", 4.2e-10, 390e12, 0.055, 1.3, None, "meme-token", date(2023, 7, 20)),
    CoinSpec("samoyedcoin", "samo", "Samoyedcoin", 0.004, 0.0, 0.05, 1.2, None, "meme-token", date(2021, 4, 20)),
    CoinSpec("basic-attention-token", "bat", "Basic Attention", 0.2, 1.5e9, 0.033, 1.1, 1.5e9, "web3"),
)

STALE_COIN_ID = "basic-attention-token"
DELISTED_COINS = (("terra-luna", "lunc", "Terra Luna Classic"), ("ftx-token", "ftt", "FTX"))


def coin_specs(count: int, today: date) -> list[CoinSpec]:
    """Return `count` coins as they are listed on `today`; bitcoin is always the first of them.

    With 10 coins or more the last three are young: they were listed on the latest three multiples of 28
    days, so a new one comes and the oldest leaves every four weeks.
    """
    if count < 1:
        raise ValueError(f"the simulated market needs at least 1 coin, not {count}")
    young = _young_coins(today) if count >= 10 else []
    steady = list(_SPECS[: count - len(young)])
    fillers = [_filler(number) for number in range(len(steady), count - len(young))]
    return steady + fillers + young


def latest_departed_coin(today: date) -> CoinSpec:
    """Return the young coin that left the market when the newest one came."""
    return _newcomer(_generation(today) - YOUNG_COIN_COUNT)


def _young_coins(today: date) -> list[CoinSpec]:
    newest = _generation(today)
    return [_newcomer(newest - age) for age in range(YOUNG_COIN_COUNT)]


def _generation(today: date) -> int:
    return (today - date(1970, 1, 1)).days // YOUNG_COIN_SPACING_DAYS


def _newcomer(generation: int) -> CoinSpec:
    listed_on = date.fromordinal(date(1970, 1, 1).toordinal() + generation * YOUNG_COIN_SPACING_DAYS)
    return CoinSpec(
        f"newcomer-{generation}", f"new{generation}", f"Newcomer {generation}", 0.35, 90e6, 0.06, 1.2,
        100e6, "new-listings", listed_on,
    )  # fmt: skip


def _filler(number: int) -> CoinSpec:
    level_usd = 10.0 ** (1.0 - (number % 9) * 0.7)
    supply = 80e6 / (1.0 + number / 25.0) / level_usd
    return CoinSpec(f"sample-coin-{number}", f"smp{number}", f"Sample Coin {number}", level_usd, supply, 0.04, 1.1)
