"""The product's settings, with the addresses of bench/peers/bare.py."""

from cryptopredict.settings import *  # noqa: F403  (all of them)

ROOT_URLCONF = "bench.peers.bare"
