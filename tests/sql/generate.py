"""Random SELECTs over the tables of one tenant: joins of all kinds, subqueries and conditions that almost bind a key."""

from random import Random

TABLES = (
    "orders",
    "order_items",
    "customers",
    "products",
    "order_events",
    "tenants",
    "order_view",
    "open_orders",
    "totals",
)
SECOND = {
    "orders": "order_id",
    "order_items": "order_id",
    "order_events": "order_id",
    "customers": "customer_id",
    "products": "product_id",
    "order_view": "order_id",
    "open_orders": "order_id",
    "tenants": None,
    "totals": None,
}
JOINS = ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")


class Generator:
    """Makes one statement after another; the same seed makes the same ones.

    Every relation it names has a ``tenant_id``, under whose name it may have put something else.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._names = 0
        self._ctes: list[str] = []

    def statement(self) -> str:
        """A SELECT, perhaps with WITH."""
        self._names, self._ctes = 0, []
        prefix = ""
        if self._chance(0.25):
            name = self._name()
            prefix = f"WITH {name} AS ({self._select(1, [])}) "
            self._ctes.append(name)
        elif self._chance(0.07):
            name = self._name()
            prefix = f"WITH RECURSIVE {name} (tenant_id, n) AS ({self._recursive(name)}) "
            self._ctes.append(name)
        return prefix + self._select(2, [])

    def _recursive(self, name: str) -> str:
        """A query that refers to itself, with an end."""
        first, more, own = self._name(), self._name(), self._name()
        tables = self._random.choice(TABLES), self._random.choice(TABLES)
        key = self._random.choice([f"{own}.tenant_id", f"{more}.tenant_id", "'a'"])
        return (
            f"SELECT {first}.tenant_id, 1::bigint FROM {tables[0]} {first} WHERE {self._comparison([first], [first])}"
            f" UNION SELECT {key}, {own}.n + 1 FROM {name} {own} JOIN {tables[1]} {more}"
            f" ON {self._on([own], [more])} WHERE {own}.n < 3"
        )

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _name(self) -> str:
        self._names += 1
        return f"t{self._names}"

    def _value(self) -> str:
        return self._random.choice(
            ["'a'", "'a'", "'a'", "'b'", "'acme'", "'zz'", "NULL", "'a'::text", "lower('A')"]
        )

    def _select(self, depth: int, outer: list[str]) -> str:
        """A query with the columns tenant_id and n."""
        if depth and self._chance(0.12):
            operator = self._random.choice(["UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
            return f"{self._select(depth - 1, outer)} {operator} {self._select(depth - 1, outer)}".join("()")[
                1:-1
            ]
        if self._chance(0.06):
            return f"SELECT {self._value()}::text AS tenant_id, 1::bigint AS n"
        text, names = self._from(depth, outer)
        where = self._condition(depth, names, outer) if self._chance(0.8) else "true"
        key = f"{self._random.choice(names)}.tenant_id"
        text = f"FROM {text} WHERE {where}"
        match self._random.randrange(15):
            case 0:
                return f"SELECT {key}, count(*) AS n {text} GROUP BY {key}"
            case 1:
                return f"SELECT max({key}) AS tenant_id, count(*) AS n {text}"
            case 2:
                return f"SELECT DISTINCT {key}, 1::bigint AS n {text}"
            case 3 if depth < 2:
                return f"(SELECT {key}, 2::bigint AS n {text} ORDER BY 1, 2 LIMIT 2)"
            case 4:
                return f"SELECT coalesce({key}, 'a') AS tenant_id, 3::bigint AS n {text}"
            case 5:
                return f"SELECT {key}, rank() OVER (ORDER BY {key}) AS n {text}"
            case 6:
                return f"SELECT {key}, (SELECT count(*) FROM {self._inner(names + outer)}) AS n {text}"
            case 7:
                sets = self._random.choice(
                    [
                        "()",
                        f"ROLLUP ({key})",
                        f"GROUPING SETS ((), ({key}))",
                        f"{key}, ROLLUP ({key})",
                        f"CUBE ({key})",
                    ]
                )
                return f"SELECT max({key}) AS tenant_id, count(*) AS n {text} GROUP BY {sets}"
            case 8:
                return f"SELECT max({key}) AS tenant_id, 5::bigint AS n {text} HAVING count(*) >= 0"
            case 9:
                return f"SELECT {key} AS tenant_id, count(*) AS n {text} GROUP BY 1 HAVING {key} = {self._value()}"
            case 10:
                inner = f"SELECT count(*) FROM {self._inner(names + outer)}"
                return f"SELECT max({key}) AS tenant_id, max(({inner})) AS n {text}"
            case 11 if outer:
                return f"SELECT {self._random.choice(outer)}.tenant_id, 6::bigint AS n WHERE {self._comparison(outer, outer)}"
        return f"SELECT {key}, 4::bigint AS n {text}"

    def _inner(self, names: list[str]) -> str:
        table, alias = self._random.choice(TABLES), self._name()
        return f"{table} {alias} WHERE {self._comparison([alias], names)}"

    def _from(self, depth: int, outer: list[str]) -> tuple[str, list[str]]:
        text, names = self._item(depth, outer)
        for _ in range(self._random.choice([0, 0, 1, 1, 2])):
            item, more = self._item(depth, [*names, *outer])
            join = self._random.choice(JOINS)
            if join == "CROSS JOIN":
                text = f"{text} CROSS JOIN {item}"
            elif self._chance(0.15) and len(names) == 1 and len(more) == 1:
                text = f"{text} {join} {item} USING (tenant_id)"
            else:
                text = f"{text} {join} {item} ON {self._on(names, more)}"
            names = [*names, *more]
            if self._chance(0.2):
                text = f"({text})"
        return text, names

    def _on(self, left: list[str], right: list[str]) -> str:
        parts = []
        if self._chance(0.8):
            parts.append(f"{self._random.choice(left)}.tenant_id = {self._random.choice(right)}.tenant_id")
        if self._chance(0.3) or not parts:
            parts.append(self._comparison(left + right, left + right))
        return " AND ".join(parts)

    def _item(self, depth: int, visible: list[str]) -> tuple[str, list[str]]:
        alias = self._name()
        if depth and self._chance(0.25):
            if self._chance(0.3):
                return f"LATERAL ({self._select(depth - 1, visible)}) {alias}", [alias]
            return f"({self._select(depth - 1, [])}) {alias} (tenant_id, n)", [alias]
        if self._ctes and self._chance(0.3):
            return f"{self._random.choice(self._ctes)} {alias}", [alias]
        if self._chance(0.06):
            rows = f"{self._value()}, {self._value()}"
            return self._random.choice(
                [
                    f"unnest(ARRAY[{rows}]::text[]) {alias} (tenant_id)",
                    f"(VALUES ({rows}), ('b', 'b')) {alias} (tenant_id, m)",
                ]
            ), [alias]
        if depth and self._chance(0.06):
            tables = self._random.choice(TABLES), self._random.choice(TABLES)
            join = self._random.choice(JOINS[:4])
            left, right = self._name(), self._name()
            return f"({tables[0]} {left} {join} {tables[1]} {right} USING (tenant_id)) {alias}", [alias]
        if depth and self._chance(0.1):
            left, right = self._name(), self._name()
            tables = self._random.choice(TABLES), self._random.choice(TABLES)
            join = self._random.choice(JOINS[:3])
            return f"({tables[0]} {left} {join} {tables[1]} {right} ON {self._on([left], [right])})", [
                left,
                right,
            ]
        return f"{self._random.choice(TABLES)} {alias}", [alias]

    def _condition(self, depth: int, names: list[str], outer: list[str]) -> str:
        parts = [self._comparison(names, names + outer) for _ in range(self._random.choice([1, 1, 2, 3]))]
        if depth and self._chance(0.25):
            negated = self._random.choice(["", "NOT "])
            parts.append(f"{negated}EXISTS (SELECT FROM {self._inner(names + outer)})")
        return self._random.choice([" AND ", " AND ", " AND ", " OR "]).join(f"({part})" for part in parts)

    def _comparison(self, names: list[str], others: list[str]) -> str:
        """A condition on a key; the likely ones come first."""
        one, other = f"{self._random.choice(names)}.tenant_id", f"{self._random.choice(others)}.tenant_id"
        match self._random.randrange(20):
            case 0 | 1 | 2 | 3 | 4 | 5:
                return f"{one} = {self._value()}"
            case 6 | 7 | 8:
                return f"{one} = {other}"
            case 9:
                return f"{one} IN ({self._value()}, {self._value()})"
            case 10:
                return f"{one} IS NOT DISTINCT FROM {self._random.choice([self._value(), other])}"
            case 11:
                return f"{one} = {self._value()} OR {one} = {self._value()}"
            case 12:
                return f"NOT ({one} <> {self._value()})"
            case 13:
                return f"{one} IS NULL"
            case 14:
                return f"coalesce({one}, {other}) = {self._value()}"
            case 15:
                return f"{one} IS NOT DISTINCT FROM NULL"
            case 16:
                negated = self._random.choice(["", "", "", "NOT "])
                table, alias = self._random.choice(TABLES), self._name()
                members = f"SELECT {alias}.tenant_id FROM {table} {alias} WHERE {self._plain(alias, others)}"
                return f"{one} {negated}IN ({members})"
            case 17:
                return f"({one}, 1) = ({self._random.choice([self._value(), other])}, 1)"
            case 18:
                return f"{one} {self._random.choice(['= ALL', '<> ANY', '= ANY'])} (ARRAY[{self._value()}])"
        return f"{one} = ANY (ARRAY[{self._value()}, 'b'])"

    def _plain(self, alias: str, others: list[str]) -> str:
        other = self._random.choice(others)
        return self._random.choice(
            [f"{alias}.tenant_id = {self._value()}", f"{alias}.tenant_id = {other}.tenant_id", "true"]
        )
