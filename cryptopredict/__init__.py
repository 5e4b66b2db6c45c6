"""The composition root of CryptoPredict: the only package that knows every app."""

from cryptopredict.celery import app as celery_app

__all__ = ("celery_app",)
