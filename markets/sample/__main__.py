"""Runs the sample server from the command line until it is told to stop."""

import argparse
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from markets.sample.csv_files import ReplayDataError
from markets.sample.market import Market
from markets.sample.replay import replay_market
from markets.sample.server import HOST, SampleServer
from markets.sample.simulated import simulated_market


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.source == "replay" and options.data is None:
        parser.error("--source replay needs --data DIR")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        market = _market(options)
        server = SampleServer(
            market,
            host=options.host,
            port=options.port,
            calls_per_minute=options.calls_per_minute,
            monthly_credits=options.monthly_credits,
            api_key=options.api_key,
        )
    except (ReplayDataError, OSError) as error:
        print(f"sample server: {error}", file=sys.stderr)
        return 1
    with server:
        print(f"Sample server: {len(market.coins)} {market.source} coins at {server.base_url}", flush=True)
        stopped.wait()
    return 0


def _market(options: argparse.Namespace) -> Market:
    today = datetime.fromtimestamp(time.time(), UTC).date()
    if options.source == "replay":
        return replay_market(options.data, coin_count=options.coins, seed=options.seed, today=today)
    return simulated_market(seed=options.seed, coin_count=options.coins, today=today)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m markets.sample", description=__doc__)
    parser.add_argument("--host", default=HOST, help="address to listen on (default: this computer only)")
    parser.add_argument("--port", type=int, default=8900, help="port (0: any free one)")
    parser.add_argument("--source", choices=["simulated", "replay"], default="simulated")
    parser.add_argument("--data", type=Path, help="folder of CSV files to replay")
    parser.add_argument("--seed", type=int, default=7, help="seed of all that is random")
    parser.add_argument("--coins", type=_positive, default=50, help="how many active coins")
    parser.add_argument("--calls-per-minute", type=_positive, help="limit in any 60 seconds (default: none)")
    parser.add_argument("--monthly-credits", type=_positive, help="answers of 200 a month (default: no limit)")
    parser.add_argument("--api-key", help="demo key that every request must carry (default: none is needed)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
