"""What a checker finds wrong."""

from dataclasses import dataclass
from enum import StrEnum

from tests.histories.history import Key


class Kind(StrEnum):
    """The kinds of anomalies, by what the client was made to believe."""

    LOST = "an acknowledged write is not there"
    UNDONE = "a write that failed is there"
    FROM_NOWHERE = "a value that nobody wrote"
    DOUBLED = "an element is there twice"
    RETURNED = "a removed element is there"
    TORN = "a transaction is there in part"
    OWN = "a transaction does not see its own write"
    REORDERED = "two reads of a list are not of one order"
    FORKED = "two writes followed the same state"
    STALE = "a read is older than what was known when it began"
    FUTURE = "a read is newer than what had begun when it ended"
    UNBALANCED = "a sum is not what it always is"
    SPURIOUS = "a comparison failed with what was there"
    INTERMEDIATE = "a read is of the middle of another transaction (G1b)"
    WRITE_CYCLE = "a cycle of writes (G0)"
    READ_CYCLE = "a cycle of writes and reads (G1c)"
    SNAPSHOT_CYCLE = "a cycle that no snapshot allows (G-single, G-nonadjacent)"
    SERIAL_CYCLE = "a cycle of SERIALIZABLE transactions (G2)"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One finding: what kind, on which key (none: on several), and what shows it."""

    kind: Kind
    key: Key
    evidence: str

    def __str__(self) -> str:
        return f"{'/'.join(self.key) or 'several keys'}: {self.kind}: {self.evidence}"
