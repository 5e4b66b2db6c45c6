"""The market list by FastAPI, SQLAlchemy and pydantic, as their tutorials have it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field, Json, computed_field
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg2://", 1))
app = FastAPI()


class Base(DeclarativeBase):
    pass


class CoinRow(Base):
    """The product's table of coins."""

    __tablename__ = "markets_cryptocurrency"

    id: Mapped[int] = mapped_column(primary_key=True)
    coingecko_id: Mapped[str]
    symbol: Mapped[str]
    name: Mapped[str]
    is_tracked: Mapped[bool]
    is_listed: Mapped[bool]
    market_cap_rank: Mapped[int | None]
    price_usd: Mapped[float | None]
    market_cap_usd: Mapped[float | None]
    volume_24h_usd: Mapped[float | None]
    change_1h_percent: Mapped[float | None]
    change_24h_percent: Mapped[float | None]
    change_7d_percent: Mapped[float | None]
    sparkline_7d: Mapped[str]  # JSON in a text column
    price_at: Mapped[datetime | None]
    sync_every_seconds: Mapped[int]


class Coin(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str = Field(validation_alias="coingecko_id")
    symbol: str
    name: str
    price_usd: float | None
    change_1h_percent: float | None
    change_24h_percent: float | None
    change_7d_percent: float | None
    market_cap_usd: float | None
    volume_24h_usd: float | None
    as_of: datetime | None = Field(validation_alias="price_at")
    sync_every_seconds: int
    market_cap_rank: int | None
    is_tracked: bool
    sparkline_7d: Json[list[float]]

    @computed_field
    def is_stale(self) -> bool:
        fresh_for = timedelta(seconds=2 * self.sync_every_seconds)
        return self.as_of is None or datetime.now(UTC) - self.as_of > fresh_for


class Page(BaseModel):
    count: int
    next: str | None
    previous: str | None
    results: list[Coin]


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


@app.get("/coins/")
def coins(
    request: Request,
    database: Annotated[Session, Depends(session)],
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=250)] = 100,
) -> Page:
    listed = select(CoinRow).where(CoinRow.is_listed)
    count = database.scalar(select(func.count()).select_from(listed.subquery())) or 0
    ordered = listed.order_by(CoinRow.market_cap_rank.asc().nulls_last(), CoinRow.coingecko_id)
    found = database.scalars(ordered.limit(page_size).offset((page - 1) * page_size)).all()
    return Page(
        count=count,
        next=str(request.url.include_query_params(page=page + 1)) if page * page_size < count else None,
        previous=str(request.url.include_query_params(page=page - 1)) if page > 1 else None,
        results=[Coin.model_validate(row) for row in found],
    )
