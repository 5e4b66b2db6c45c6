"""The questions asked of many portfolios and transactions at once."""

from typing import TYPE_CHECKING, Self

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

if TYPE_CHECKING:
    from portfolios.models import Portfolio, Transaction  # noqa: F401  (named in the bases below)


class PortfolioQuerySet(models.QuerySet["Portfolio"]):
    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """The user's own portfolios, and nobody else's."""
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def in_order(self) -> Self:
        """Oldest first; those of one instant in the order they were entered."""
        return self.order_by("occurred_at", "id")
