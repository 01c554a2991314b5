"""Reads a Dockerfile and a .dockerignore, as far as ours go."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; ``text`` is the rest of its line with continuations joined."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The instructions from one FROM to the next; ``name`` is what stands after AS."""

    base: str
    name: str | None
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[str]:
        """The texts of every instruction of that name."""
        return [each.text for each in self.instructions if each.name == name]

    def environment(self) -> dict[str, str]:
        """What the ENV instructions set."""
        pairs = " ".join(self.all("ENV")).split()
        return dict(pair.split("=", 1) for pair in pairs)


def stages(text: str) -> list[Stage]:
    """The stages in order."""
    found: list[tuple[str, str | None, list[Instruction]]] = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            found.append((base, alias or None, []))
        else:
            found[-1][2].append(Instruction(name, rest.strip()))
    return [Stage(base, alias, tuple(instructions)) for base, alias, instructions in found]


def ignored(patterns: list[str], path: PurePosixPath) -> bool:
    """Whether .dockerignore leaves out ``path`` (relative to the context): the last match decides."""
    result = False
    for pattern in patterns:
        exception = pattern.startswith("!")
        if any(_matches(pattern.removeprefix("!"), each) for each in (path, *path.parents)):
            result = not exception
    return result


def ignore_patterns(file: Path) -> list[str]:
    """The patterns of a .dockerignore, without comments."""
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def _matches(pattern: str, path: PurePosixPath) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(path.name, pattern.removeprefix("**/"))
    return len(path.parts) == len(PurePosixPath(pattern).parts) and fnmatch(str(path), pattern)
