"""What all sections share: frozen, unknown keys refused, a short form, values never shown in errors."""

from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


def refuse(message: str) -> NoReturn:
    """Raise a validation error whose ``message`` reaches the user as it is; it says what to do."""
    raise PydanticCustomError("shardproxy", "{message}", {"message": message})


class Section(BaseModel):
    """A mapping of options.

    ``SHORT_FORM`` is the JSON schema of the text that may stand for the whole section, if there is one;
    :meth:`expand` turns that text into the mapping.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    SHORT_FORM: ClassVar[JsonSchemaValue | None] = None

    @classmethod
    def expand(cls, text: str) -> dict[str, Any]:
        """The mapping that ``text`` is short for."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, data: Any) -> Any:
        """Expand the short form; an empty section has its defaults (all its lines may be comments)."""
        if isinstance(data, str) and cls.SHORT_FORM is not None:
            return cls.expand(data)
        if data is None:
            return {}
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if not cls._empty_collection(name, value)}
        return data

    @classmethod
    def _empty_collection(cls, name: str, value: object) -> bool:
        field = cls.model_fields.get(name)
        return value is None and field is not None and field.default_factory is not None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = handler(core_schema)
        definition = handler.resolve_ref_schema(reference)
        for name, option in definition.get("properties", {}).items():
            option.pop("title", None)
            if cls.model_fields[name].default_factory is not None:
                _admit_empty(option)
        definition.pop("title", None)
        if cls.SHORT_FORM is not None:
            mapping = dict(definition)
            definition.clear()
            definition.update({"anyOf": [cls.SHORT_FORM, mapping]})
        return reference


def _admit_empty(option: JsonSchemaValue) -> None:
    """Let a section, list or mapping be null: in YAML that is one whose lines are all comments."""
    reference = option.pop("$ref", None)
    if reference is not None:
        option["anyOf"] = [{"$ref": reference}, {"type": "null"}]
    elif "anyOf" in option:
        option["anyOf"].append({"type": "null"})
    elif isinstance(option.get("type"), str):
        option["type"] = [option["type"], "null"]
