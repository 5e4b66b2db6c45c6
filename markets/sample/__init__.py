"""A CoinGecko-compatible server on loopback that replays CSV files or a simulated market and injects faults."""
