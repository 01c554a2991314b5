"""Random INSERT, UPDATE, DELETE and MERGE, with keys given in every way that may and that may not be."""

from collections.abc import Sequence

from tests.parity.generator.queries import Queries
from tests.parity.generator.tables import CHANGED, Column


class Changes:
    """Makes one change after another; the same seed makes the same ones."""

    def __init__(self, seed: int, *, of_one_tenant: bool = False) -> None:
        self.queries = Queries(seed, of_one_tenant=of_one_tenant)
        self.random = self.queries.random
        self.conditions = self.queries.conditions

    def statement(self) -> str:
        """A whole statement, mostly with RETURNING."""
        self.queries.start()
        name = self.random.choice((*("coupons", "orders", "customers") * 3, *CHANGED))
        columns = [Column(*pair) for pair in CHANGED[name].items()]
        make = self.random.choice(
            (self._insert, self._insert, self._update, self._update, self._delete, self._merge)
        )
        text = make(name, columns)
        if self.queries.chance(0.12):
            return f"WITH changed AS ({text}) SELECT count(*), max(c::text) FROM changed c{self._beside(columns)}"
        return text

    def _beside(self, columns: Sequence[Column]) -> str:
        if not self.queries.chance(0.6):
            return ""
        texts = [f"c.{column.name}" for column in columns if column.type in ("tenant", "text")]
        return f" JOIN customers k ON k.tenant_id = {self.random.choice((*texts, '%(t)s', '%(u)s'))}"

    def _value(self, column: Column) -> str:
        if column.type == "int" and self.queries.chance(0.7):
            return str(self.random.randrange(5000, 9000))
        return self.conditions.value(column.type)

    def _plain_expression(self, column: Column, visible: Sequence[Column], depth: int = 0) -> str:
        """An expression that may stand where window functions may not."""
        text = self.queries.expression(column.type, visible, (), depth)
        return self._value(column) if "OVER" in text else text

    def _where(self, columns: Sequence[Column], outer: Sequence[Column] = ()) -> str:
        key, visible = columns[0], [*columns, *outer]
        parts = [self.conditions.key_is(key)] if self.queries.chance(self.conditions.discipline) else []
        while not parts or self.queries.chance(0.35):
            parts.append(f"({self.conditions.condition(visible, (), self.queries.subquery)})")
        self.random.shuffle(parts)
        return f" WHERE {' AND '.join(parts)}"

    def _returning(self, columns: Sequence[Column]) -> str:
        roll = self.random.random()
        if roll < 0.25:
            return ""
        if roll < 0.75:
            return f" RETURNING {', '.join(column.name for column in columns)}"
        return f" RETURNING {self.queries.expression('text', columns, (), 1)}"

    def _insert(self, name: str, columns: Sequence[Column]) -> str:
        listed = list(columns)
        if self.queries.chance(0.3):
            self.random.shuffle(listed)
        if self.queries.chance(0.05):
            listed = listed[1:]
        names = ", ".join(column.name for column in listed)
        if self.queries.chance(0.3):
            rows = self._selected(listed)
        else:
            count = self.random.choice((1, 1, 2, 3))
            key = self.conditions.value(columns[0].type)
            rows = "VALUES " + ", ".join(self._row(listed, columns[0], key) for _ in range(count))
        conflict = self._conflict(name, columns) if self.queries.chance(0.25) else ""
        target = [Column(f"{name}.{column.name}", column.type) for column in columns]
        return f"INSERT INTO {name} ({names}) {rows}{conflict}{self._returning(target)}"

    def _row(self, listed: Sequence[Column], key: Column, value: str) -> str:
        same = self.queries.chance(0.9)
        return f"({', '.join(value if column == key and same else self._value(column) for column in listed)})"

    def _selected(self, listed: Sequence[Column]) -> str:
        source, visible, keys = self.queries.source(0, ())
        conditions = [
            self.conditions.key_is(key) for key in keys if self.queries.chance(self.conditions.discipline)
        ]
        expressions = [
            self.queries.expression(column.type, visible, (), 0)
            if self.queries.chance(0.5)
            else self.queries.cast(self._value(column), column.type)
            for column in listed
        ]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(expressions)} FROM {source}{where}"

    def _conflict(self, name: str, columns: Sequence[Column]) -> str:
        changed = self.random.choice(columns[1:])
        value = self.random.choice(
            (f"excluded.{changed.name}", self._value(changed), f"{name}.{changed.name}")
        )
        keys = {
            "coupons": "tenant_id, code",
            "orders": "tenant_id, order_id",
            "customers": "tenant_id, customer_id",
        }
        if self.queries.chance(0.4) or name not in keys:
            return " ON CONFLICT DO NOTHING"
        return f" ON CONFLICT ({keys[name]}) DO UPDATE SET {changed.name} = {value}"

    def _update(self, name: str, columns: Sequence[Column]) -> str:
        alias = self.random.choice((name, "x"))
        target = [Column(f"{alias}.{column.name}", column.type) for column in columns]
        changed = self.random.choice(columns if self.queries.chance(0.1) else columns[1:])
        other = ""
        visible: list[Column] = []
        if self.queries.chance(0.3):
            other, visible, _ = self.queries.source(0, ())
        value = self._plain_expression(changed, target, 1)  # of several partners, any one would be taken
        spelled = name if alias == name else f"{name} {alias}"
        source = f" FROM {other}" if other else ""
        joined = ""
        alike = [column for column in visible if column.type == target[0].type]
        if alike and self.queries.chance(0.8):
            joined = f" AND {target[0].name} = {self.random.choice(alike).name}"
        where = self._where(target, visible)
        return (
            f"UPDATE {spelled} SET {changed.name} = {value}{source}{where}{joined}{self._returning(target)}"
        )

    def _delete(self, name: str, columns: Sequence[Column]) -> str:
        target = [Column(f"{name}.{column.name}", column.type) for column in columns]
        other = ""
        visible: list[Column] = []
        if self.queries.chance(0.3):
            other, visible, _ = self.queries.source(0, ())
        source = f" USING {other}" if other else ""
        alike = [column for column in visible if column.type == target[0].type]
        joined = f" AND {target[0].name} = {self.random.choice(alike).name}" if alike else ""
        return f"DELETE FROM {name}{source}{self._where(target, visible)}{joined}{self._returning(target)}"

    def _merge(self, name: str, columns: Sequence[Column]) -> str:
        target = [Column(f"{name}.{column.name}", column.type) for column in columns]
        source, visible, _ = self.queries.item(1, ())
        key = target[0]
        alike = [column for column in visible if column.type == key.type]
        parts = [self.conditions.key_is(key)] if self.queries.chance(self.conditions.discipline) else []
        if alike and self.queries.chance(0.7):
            parts.append(f"{key.name} = {self.random.choice(alike).name}")
        parts.append(self.conditions.condition([*target, *visible], (), None))
        changed = self.random.choice(columns[1:])
        inserted = [self._plain_expression(column, visible) for column in columns]
        if alike and self.queries.chance(0.3):
            inserted[0] = self.random.choice(alike).name
        elif self.queries.chance(0.6):
            inserted[0] = self.conditions.value(key.type)
        matched = self.random.choice(
            ("DELETE", "DO NOTHING", f"UPDATE SET {changed.name} = {self._value(changed)}")
        )
        names = ", ".join(column.name for column in columns)
        clauses = [
            f"WHEN MATCHED THEN {matched}",
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({', '.join(inserted)})",
            f"WHEN NOT MATCHED BY SOURCE THEN {matched}",
        ]
        some = [clause for clause in clauses if self.queries.chance(0.5)] or clauses[:1]
        condition = " AND ".join(f"({part})" for part in parts)
        return f"MERGE INTO {name} USING {source} ON {condition} {' '.join(some)}{self._returning(target)}"
