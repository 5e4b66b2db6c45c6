"""Forecast bands for crypto prices: from a price panel to scored quantiles, without Django."""
