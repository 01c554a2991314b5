"""What a statement is: the immutable plan that analysis makes once per statement shape and everything else
reads.

It holds no epoch and no shard number, so a new shard map never invalidates it; ``routing`` joins the two.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from shardproxy.errors import Refused, ShardproxyError
from shardproxy.topology.keys import Key, KeyFamily
from shardproxy.topology.tables import RelationName


class Kind(Enum):
    """What the session has to do with a statement."""

    QUERY = auto()  # runs on a shard: SELECT, DML, EXPLAIN, anything else a server answers
    COPY_IN = auto()  # COPY ... FROM STDIN
    COPY_OUT = auto()  # COPY ... TO STDOUT
    BEGIN = auto()  # BEGIN, START TRANSACTION
    COMMIT = auto()  # COMMIT, END
    ROLLBACK = auto()  # ROLLBACK, ABORT
    SAVEPOINT = auto()
    RELEASE = auto()
    ROLLBACK_TO = auto()
    SET_TRANSACTION = auto()  # SET TRANSACTION ...: this transaction's characteristics
    SET = auto()  # SET, SET LOCAL, SET SESSION CHARACTERISTICS
    RESET = auto()
    SHOW = auto()
    DISCARD = auto()
    DEALLOCATE = auto()
    EMPTY = auto()  # no statement at all: ";", comments only


class Reach(Enum):
    """Where a statement may run, as far as its text alone tells."""

    ANYWHERE = (
        auto()
    )  # touches no user table, or reads reference tables only: every shard gives the same answer
    KEYED = auto()  # every sharded relation is bound by key_sets
    UNBOUND = auto()  # at least one sharded relation has no key
    LOCAL = auto()  # reads or writes tables local to ``local_shard``
    REFUSED = auto()  # no route can be right; ``refusal`` says why


@dataclass(frozen=True, slots=True)
class Constant:
    """A key that analysis evaluated; only in plans cached by exact text. None is SQL NULL: it equals
    nothing.
    """

    key: Key | None


@dataclass(frozen=True, slots=True)
class Literal:
    """The key is the folded literal at ``place`` (from 0) of a simple query; ``negative``: a minus sign
    precedes it.
    """

    place: int
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """The key is parameter ``$number`` (from 1); ``array``: each of its elements is a key (``= ANY($1)``)."""

    number: int
    array: bool = False


KeySource = Constant | Literal | Parameter


@dataclass(frozen=True, slots=True)
class KeySet:
    """One equivalence class that binds sharded relations: its rows have one of these keys. Empty sources:
    no row can match.

    ``max_length``: the key is stored in a varchar(n) column, where assignment cuts trailing blanks off a
    longer value, or was cast to that type, which cuts off anything: a key of more than so many characters
    must be refused. None: there is no such limit.
    ``kept``: rows are given this key, so it must be the only one of its group in the statement.
    """

    group: str
    family: KeyFamily
    sources: tuple[KeySource, ...]
    max_length: int | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class SettingChange:
    """SET/RESET of one parameter. ``value`` is the text SHOW would print, None for RESET or DEFAULT.

    ``name`` is lower case; for RESET ALL it is "all". ``sql`` is this one statement, to be replayed on
    another connection.
    """

    name: str
    value: str | None
    local: bool
    sql: str
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """The plan of one statement. See each enum for what its members promise.

    ``fan_out``: when the keys do not land on one shard (or there are none), running the same text on each
    concerned shard and concatenating the rows is exactly PostgreSQL's answer. ``refusal``: what to say
    when the statement reaches several shards and ``fan_out`` is False, or always when reach is REFUSED.
    ``read_only``: provably no effect and no volatile function, so a replica may answer. ``pins``: why the
    session needs its own server connection from now on, None when it does not. ``isolated``: the statement
    has sharded relations that ``tenant_isolation`` can bind by rewriting. ``foldable``: the plan holds for
    every statement that has the same folded text; False when analysis looked at the value of a constant.
    ``movable``: a block that ran it may be rolled back and begun anew on another shard, and nobody can tell:
    it reads nothing but definitions, settings and reference tables, changes nothing but settings that
    ``set_config`` lists, locks nothing, and answers nothing that is of this transaction or server alone, such
    as its clock. It holds under READ COMMITTED, for whatever the text does not tell: a value may still be
    'now'. ``relations`` and ``unbound`` (those without a key) have the names that the configuration has: of a
    partition, its parent's. ``tag`` is the command tag without counts, for example "SELECT".
    ``plain``: it runs on a shard and concerns nothing of the session's: no setting, no state that stays on
    the server connection, no knowledge of the schema. Most statements are, and pass by what is for others.
    ``single``: the key set of a statement that has one key, of any length, and that nothing else routes.
    """

    kind: Kind
    tag: str
    reach: Reach
    start: int = 0  # character offset of the statement in its text
    end: int = 0
    key_sets: tuple[KeySet, ...] = ()
    fan_out: bool = False
    refusal: Refused | None = None
    reads: Refused | None = None  # it runs code that may touch any table: what to say where that matters
    read_only: bool = False
    movable: bool = False
    pins: str | None = None
    local_shard: str | None = None
    relations: tuple[RelationName, ...] = ()
    unbound: tuple[RelationName, ...] = ()
    setting: SettingChange | None = None
    set_config: tuple[SettingChange, ...] = ()  # of a SELECT that sets them, in order
    unless_temporary: ShardproxyError | None = None  # it names relations that only temporary tables can be:
    temporary: frozenset[str] = frozenset()  # these, without their schema
    creates: str | None = None  # a temporary table
    name: str | None = None  # savepoint, prepared statement, cursor ...
    chain: bool = False  # COMMIT or ROLLBACK AND CHAIN
    sequence: bool = False  # it is unbound for a sequence alone, and touches no sharded table
    reveals: str | None = None  # a catalog it reads that shows values of any tenant's rows
    private: bool = False  # what it is, is the session's own: temporary tables, a cursor, a literal 'now'
    foldable: bool = True
    catalog: bool = False  # reads system catalogs: answered by the designated shard
    unlocks: bool = False  # calls pg_advisory_unlock_all()
    notifies: bool = False  # LISTEN and NOTIFY have to meet: the designated shard and no other
    locks: bool = (
        False  # advisory locks have to meet, as far as the transaction or the tenant leaves a choice
    )
    changes_schema: bool = False  # DDL: knowledge of the schema must be read again
    plain: bool = field(init=False, repr=False, compare=False)
    single: KeySet | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "single", self._single())
        plain = (
            self.kind is Kind.QUERY
            and self.setting is None
            and not self.set_config
            and self.pins is None
            and self.unless_temporary is None
            and self.creates is None
            and self.reveals is None
            and not self.private
            and not self.unlocks
            and not self.notifies
            and not self.changes_schema
        )
        object.__setattr__(self, "plain", plain)

    def _single(self) -> KeySet | None:
        if self.reach is not Reach.KEYED or len(self.key_sets) != 1:
            return None
        key_set = self.key_sets[0]
        if len(key_set.sources) != 1 or key_set.max_length is not None:
            return None
        source = key_set.sources[0]
        return None if isinstance(source, Parameter) and source.array else key_set
