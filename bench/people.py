"""Accounts for the benchmarks, all with one password, whose hash has the product's own parameters."""

import json
from functools import cache

from django.contrib.auth.hashers import make_password

from accounts.models import User
from bench.http import Connection, request

PASSWORD = "a long enough passphrase"
TOKEN_PATH = "/api/v1/auth/token/"


@cache
def password_hash() -> str:
    return make_password(PASSWORD)


def addresses(count: int) -> list[str]:
    """The addresses of so many accounts, which are made when they are missing."""
    wanted = [f"bench-{number}@example.com" for number in range(count)]
    known = set(User.objects.filter(email__in=wanted).values_list("email", flat=True))
    User.objects.bulk_create(User(email=one, password=password_hash()) for one in wanted if one not in known)
    return wanted


def sign_in(email: str) -> bytes:
    """The request that signs somebody in."""
    return request("POST", TOKEN_PATH, json.dumps({"email": email, "password": PASSWORD}).encode())


def bearer(line: Connection, email: str) -> str:
    """The Authorization header of one who has signed in; good for ten minutes."""
    return f"Bearer {json.loads(line.send(sign_in(email)).body)['access']}"
