"""Walks the model: which options exist at a path of the file, and what they mean."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config, Section


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the model. In ``path``, ``*`` stands for any key of a mapping or any item of a list."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def section(self) -> type[Section] | None:
        """The section that the option, or each of its items, is; None for a plain value."""
        found = _descend(self.field.annotation, "*")
        return _section(self.field.annotation) or _section(found)


def options(section: type[Section] = Config, prefix: tuple[str, ...] = ()) -> Iterator[Option]:
    """Every option of the model, sections before what is in them."""
    for name, info in section.model_fields.items():
        path = (*prefix, name)
        yield Option(path, info)
        nested = _section(info.annotation)
        item = _section(_descend(info.annotation, "*"))
        if nested is not None:
            yield from options(nested, path)
        elif item is not None:
            yield from options(item, (*path, "*"))


def section_at(path: OptionPath) -> type[Section] | None:
    """The section whose options stand directly under ``path`` of the file."""
    annotation: Any = Config
    for step in path:
        annotation = _descend(annotation, step)
    return _section(annotation)


def description(path: OptionPath) -> str | None:
    """What the option at ``path`` means, None when the model has no option there."""
    section = section_at(path[:-1])
    info = section.model_fields.get(str(path[-1])) if section is not None else None
    return info.description if info is not None else None


def _strip(annotation: Any) -> Any:
    """Without Annotated and without the alternative None."""
    if get_origin(annotation) is Annotated:
        return _strip(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _strip(members[0]) if len(members) == 1 else annotation
    return annotation


def _section(annotation: Any) -> type[Section] | None:
    bare = _strip(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, Section) else None


def _descend(annotation: Any, step: str | int) -> Any:
    bare = _strip(annotation)
    section = _section(bare)
    if section is not None:
        info = section.model_fields.get(str(step))
        return info.annotation if info is not None else None
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    if get_origin(bare) is tuple:
        return get_args(bare)[0]
    return None
