"""The rows of the sample application: the same for the same :class:`Amount`, on every machine and run.

Only ``Random.random()`` is used: of Random's methods, Python promises the same sequence for this one alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]
TableRows = Mapping[str, Sequence[Row]]
"""Rows by table, in the order of :data:`COLUMNS`: what is referred to comes before what refers to it."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "currencies": ("currency", "name", "minor_units"),
    "tenants": ("tenant_id", "name", "plan", "currency", "created_at"),
    "customers": ("tenant_id", "customer_id", "email", "name", "created_at"),
    "products": ("tenant_id", "product_id", "sku", "name", "price", "attributes", "active"),
    "orders": (
        *("tenant_id", "order_id", "customer_id", "status", "currency", "total", "note", "placed_at"),
        "version",
    ),
    "order_items": ("tenant_id", "order_id", "line", "product_id", "quantity", "unit_price"),
    "order_events": ("tenant_id", "order_id", "event", "status", "happened", "details"),
}
"""Every table of schema.sql and the columns that rows here have."""

CURRENCIES: Final[tuple[Row, ...]] = (
    ("CHF", "Swiss franc", 2),
    ("EUR", "Euro", 2),
    ("GBP", "Pound sterling", 2),
    ("JPY", "Yen", 0),
    ("SEK", "Swedish krona", 2),
    ("USD", "US dollar", 2),
)

_EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC)
_YEAR: Final = 365 * 86_400
_KNOWN: Final = (
    "acme",
    "globex",
    "initech",
    "hooli",
    "umbrella",
    "stark",
    "wayne",
    "wonka",
    "tyrell",
    "cyberdyne",
)
_FIRST: Final = (
    *("amber", "brisk", "calm", "dusty", "eager", "fair", "green", "happy", "ivory", "jolly"),
    *("keen", "lucky", "mellow", "noble", "olive", "proud", "quiet", "rapid", "sunny", "tidy"),
)
_SECOND: Final = (
    *("anchor", "bakery", "candle", "dairy", "easel", "forge", "garden", "harbor", "island", "jacket"),
    *("kettle", "lantern", "market", "needle", "orchard", "pantry", "quill", "river", "saddle", "textile"),
)
_PEOPLE: Final = (
    *("Ada", "Björn", "Chen", "Dmitri", "Élodie", "Farah", "Gustavo", "Hana", "Imran", "Jóhanna"),
    *("Kofi", "Leïla", "Mateo", "Nguyễn", "Oluwaseun", "Priya", "Quentin", "Rosa", "Søren", "Yūki"),
)
_FAMILIES: Final = (
    *("Abbott", "Brandt", "Castillo", "Dubois", "Eriksson", "Fischer", "García", "Haddad", "Ito", "Jensen"),
    *("Kowalski", "Lindqvist", "Moreau", "Novák", "O'Brien", "Petrov", "Rossi", "Silva", "Tanaka", "Weber"),
)
_GOODS: Final = (
    *("basket", "blanket", "bottle", "bowl", "chair", "cup", "drawer", "frame", "glass", "jar"),
    *("lamp", "mirror", "plate", "rug", "shelf", "spoon", "table", "tray", "vase", "watch"),
)
_LIVES: Final = (
    *(("new", "paid", "shipped", "delivered"),) * 70,
    *(("new", "paid", "shipped"),) * 10,
    *(("new", "paid"),) * 8,
    *(("new",),) * 6,
    *(("new", "cancelled"),) * 4,
    *(("new", "paid", "cancelled"),) * 2,
)
"""The statuses that a hundred orders have gone through."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much data: ``orders`` over all tenants, at least one each."""

    tenants: int = 200
    orders: int = 100_000
    seed: int = 20250101

    def __post_init__(self) -> None:
        most = len(_KNOWN) + len(_FIRST) * len(_SECOND)
        if not 1 <= self.tenants <= most:
            raise ValueError(f"tenants: between 1 and {most}")
        if self.orders < self.tenants:
            raise ValueError(
                f"{self.orders} orders are too few for {self.tenants} tenants, who have at least one each"
            )


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant to be: the first is the largest."""

    tenant_id: str
    orders: int
    seed: str


def tenants(amount: Amount) -> list[Tenant]:
    """All tenants; sizes follow Zipf's law, so the first has about a sixth of the orders of 200 tenants."""
    names = [f"{first}-{second}" for first, second in product(_FIRST, _SECOND)]
    random = Random(amount.seed)  # noqa: S311 - no secret
    names.sort(key=lambda _: random.random())
    names = [*_KNOWN, *names][: amount.tenants]
    weights = [1 / rank for rank in range(1, amount.tenants + 1)]
    spare, total = amount.orders - amount.tenants, sum(weights)
    sizes = [1 + int(spare * weight / total) for weight in weights]
    sizes[0] += amount.orders - sum(sizes)
    return [Tenant(name, size, f"{amount.seed}/{name}") for name, size in zip(names, sizes, strict=True)]


def tenant_rows(tenant: Tenant) -> dict[str, list[Row]]:
    """Every row of one tenant. Its ids count from 1; orders are in the order of time."""
    # A generator of its own for each tenant: its rows do not depend on which others exist.
    random = Random(tenant.seed)  # noqa: S311 - no secret
    currency = str(_pick(CURRENCIES, random)[0])
    plan = "business" if tenant.orders >= 1000 else "team" if tenant.orders >= 100 else "free"
    name = tenant.tenant_id.replace("-", " ").title()
    customers = list(_customers(tenant, random))
    products = list(_products(tenant, random))
    rows: dict[str, list[Row]] = {
        "tenants": [(tenant.tenant_id, name, plan, currency, _EPOCH)],
        "customers": customers,
        "products": products,
        "orders": [],
        "order_items": [],
        "order_events": [],
    }
    step = _YEAR / tenant.orders
    for order_id in range(1, tenant.orders + 1):
        placed = _EPOCH + timedelta(seconds=int((order_id - random.random()) * step))
        items = list(_items(tenant.tenant_id, order_id, products, random))
        events = list(_events(tenant.tenant_id, order_id, placed, random))
        total = sum(quantity * price for *_, quantity, price in items)
        note = "gift wrap, please" if random.random() < 0.05 else None
        customer = _skewed(len(customers), random)
        rows["orders"].append(
            (tenant.tenant_id, order_id, customer, events[-1][3], currency, total, note, placed, len(events))
        )
        rows["order_items"] += items
        rows["order_events"] += events
    return rows


def _pick(choices: Sequence[T], random: Random) -> T:
    return choices[int(random.random() * len(choices))]


def _between(low: int, high: int, random: Random) -> int:
    """A number from ``low`` to below ``high``."""
    return low + int(random.random() * (high - low))


def _skewed(count: int, random: Random) -> int:
    """A number from 1 to ``count``, small ones more often."""
    return 1 + int(count * random.random() ** 2)


def _customers(tenant: Tenant, random: Random) -> Iterator[Row]:
    for number in range(1, max(3, tenant.orders // 8) + 1):
        first, family = _pick(_PEOPLE, random), _pick(_FAMILIES, random)
        email = f"customer-{number}@{tenant.tenant_id}.example"
        yield tenant.tenant_id, number, email, f"{first} {family}", _EPOCH


def _products(tenant: Tenant, random: Random) -> Iterator[Row]:
    for number in range(1, 10 + min(190, tenant.orders // 20) + 1):
        good = _pick(_GOODS, random)
        colour = _pick(("blue", "green", "red", "white"), random)
        attributes = json.dumps({"colour": colour, "weight_g": _between(50, 5000, random)})
        price = Decimal(_between(100, 20_000, random)).scaleb(-2)
        sku = f"{good[:3].upper()}-{number:04}"
        yield tenant.tenant_id, number, sku, f"{colour} {good}", price, attributes, random.random() < 0.95


def _items(tenant_id: str, order_id: int, products: Sequence[Row], random: Random) -> Iterator[Row]:
    for line in range(1, _skewed(4, random) + 1):
        chosen = products[_skewed(len(products), random) - 1]
        yield tenant_id, order_id, line, chosen[1], _skewed(5, random), chosen[4]


def _events(tenant_id: str, order_id: int, placed: datetime, random: Random) -> Iterator[Row]:
    life = _pick(_LIVES, random)
    happened = placed
    for number, status in enumerate(life, 1):
        details = '{"carrier": "post"}' if status == "shipped" else "{}"
        yield tenant_id, order_id, number, status, happened, details
        happened += timedelta(seconds=60 + int(random.random() * 200_000))
