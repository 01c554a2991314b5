"""Tables and colocation groups: which column is the sharding key, and of which type."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import JsonSchemaValue

from shardproxy.config.model.section import Section, refuse
from shardproxy.topology.keys import KeyFamily

KeyTypeName = Literal["text", "varchar", "uuid", "int2", "int4", "int8"]

FAMILIES: dict[KeyTypeName, KeyFamily] = {
    "text": KeyFamily.TEXT,
    "varchar": KeyFamily.TEXT,
    "uuid": KeyFamily.UUID,
    "int2": KeyFamily.INTEGER,
    "int4": KeyFamily.INTEGER,
    "int8": KeyFamily.INTEGER,
}

INTEGER_BITS: dict[KeyTypeName, int] = {"int2": 16, "int4": 32, "int8": 64}

_SYNONYMS = {
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "character varying": "varchar",
}

KeyType = Annotated[
    KeyTypeName,
    BeforeValidator(
        lambda value: _SYNONYMS.get(value, value) if isinstance(value, str) else value,
        json_schema_input_type=Literal[
            KeyTypeName, "smallint", "integer", "int", "bigint", "character varying"
        ],
    ),
]

REFERENCE = "reference"


class Group(Section):
    """A colocation group: tables whose rows with equal keys live on the same shard."""

    SHORT_FORM: ClassVar[JsonSchemaValue | None] = {"type": "string", "description": "The type of the key."}

    type: KeyType = Field(description="Type of the sharding key: text, varchar, uuid, int2, int4 or int8.")
    placements: dict[str, str] = Field(
        default_factory=dict,
        description="Keys of this group that live on a named shard whatever the ring says, as key: shard.",
    )

    @classmethod
    def expand(cls, text: str) -> dict[str, Any]:
        return {"type": text}


class Table(Section):
    """How a table is spread: by a key, the same on every shard (``reference``) or all on one (``local``)."""

    SHORT_FORM: ClassVar[JsonSchemaValue | None] = {
        "const": REFERENCE,
        "description": "A reference table: the same rows on every shard.",
    }

    key: str | None = Field(default=None, min_length=1, description="Column that is the sharding key.")
    group: str | None = Field(
        default=None, description="Colocation group of a table with a key; defaults to the tenant group."
    )
    reference: bool = Field(default=False, description="The table has the same rows on every shard.")
    local: str | None = Field(default=None, description="Name of the one shard that holds all rows.")

    @classmethod
    def expand(cls, text: str) -> dict[str, Any]:
        if text != REFERENCE:
            refuse(f"'{text:.80}' is not understood: write reference, {{key: column}} or {{local: shard}}")
        return {"reference": True}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.key is not None, self.reference, self.local is not None].count(True) != 1:
            refuse("say how the table is spread, in one way: reference, {key: column} or {local: shard}")
        if self.group is not None and self.key is None:
            refuse("group belongs to tables with a key; remove it")
        return self
