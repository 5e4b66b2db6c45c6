"""A CoinGecko-compatible server on loopback: a simulated market or replayed CSV files, with faults."""
