"""What the model's validation found, said as what to do. No message quotes a value that could be a secret."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from shardproxy.config.mistakes import OptionPath, dotted
from shardproxy.config.options import description, section_at

_SHAPES = {
    "model_type": "must be a mapping of options (key: value)",
    "dict_type": "must be a mapping (key: value)",
    "tuple_type": "must be a list; begin each item with '- '",
    "list_type": "must be a list; begin each item with '- '",
    "string_type": "must have a text value",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number within range",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path",
}


def explain(error: ErrorDetails) -> str:
    """The message for one error of the model; ``error['loc']`` is its path in the file."""
    kind, context = error["type"], error.get("ctx", {})
    path: OptionPath = tuple(error["loc"])
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return f"is missing; add it: {_meaning(path)}"
    if kind in ("literal_error", "enum"):
        return _choice(str(error["input"]), context)
    if kind in _SHAPES:
        empty = " (it is empty)" if error["input"] is None else ""
        return _SHAPES[kind] + empty
    return _range(kind, context) or error["msg"]


def _range(kind: str, context: dict[str, Any]) -> str | None:
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            return f"needs at least {context['min_length']} item(s)"
        case "too_long":
            return f"has at most {context['max_length']} items"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"has at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return "has characters that are not allowed: use letters, digits, '_', '-' and '.', at most 63"
    return None


def _choice(given: str, context: dict[str, Any]) -> str:
    expected = str(context.get("expected", ""))
    near = closest(given, (word.strip(" '") for word in expected.replace(" or ", ",").split(",")))
    return f"must be {expected}{near}"


def _unknown(path: OptionPath) -> str:
    section = section_at(path[:-1])
    known = tuple(section.model_fields) if section is not None else ()
    near = closest(str(path[-1]), known)
    place = f"in {dotted(path[:-1])}" if len(path) > 1 else "at the top of the file"
    return (
        f"is not an option{near}"
        if near
        else f"is not an option; the options {place} are: {', '.join(known)}"
    )


def _meaning(path: OptionPath) -> str:
    return (description(path) or "a required option").rstrip(".")


def closest(given: str, known: Iterable[str]) -> str:
    """``; did you mean 'weight'?`` when a known word is near, else nothing."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
