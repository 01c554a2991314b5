"""Reads passwords that the configuration only points at: files and environment variables."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config, Credential, Operator
from shardproxy.config.model.access import is_verifier
from shardproxy.config.report import Report
from shardproxy.secret import Secret

MAX_PASSWORD_BYTES = 4096

_C = TypeVar("_C", bound=Credential)


@dataclass(frozen=True, slots=True)
class PasswordSources:
    """Where passwords may come from. ``directory``: relative files start here."""

    directory: Path
    environment: Mapping[str, str]


def resolve(config: Config, sources: PasswordSources, report: Report) -> Config:
    """``config`` with every ``password`` filled in; what cannot be read is reported."""

    def filled(credential: _C, path: OptionPath) -> _C:
        secret = _read(
            credential, sources, lambda name, text: report.mistake((*path, name), text), path, report
        )
        return credential.model_copy(update={"password": secret})

    users = tuple(filled(user, ("auth", "users", i)) for i, user in enumerate(config.auth.users))
    shards = tuple(filled(shard, ("shards", i)) for i, shard in enumerate(config.shards))
    return config.model_copy(
        update={
            "auth": config.auth.model_copy(update={"users": users}),
            "server": filled(config.server, ("server",)),
            "operator": _operator(config.operator, sources, report),
            "shards": shards,
        }
    )


def _operator(operator: Operator, sources: PasswordSources, report: Report) -> Operator:
    """Where the password cannot be read it stays away: a sidecar needs none, and a command says so."""
    secret = _read(operator, sources, lambda *_: None, ("operator",), report)
    return operator.model_copy(update={"password": secret})


def holds_plain_password(config: Config) -> bool:
    """True when a password stands in the file itself, other than as a SCRAM verifier."""
    credentials = (*config.auth.users, config.server, config.operator, *config.shards)
    return any(
        each.password is not None and not is_verifier(each.password)
        for each in credentials
        if each.password_file is None and each.password_env is None
    )


def world_readable(path: Path) -> bool:
    """True when everyone on this machine may read the file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _read(
    credential: Credential,
    sources: PasswordSources,
    fail: Callable[[str, str], None],
    path: OptionPath,
    report: Report,
) -> Secret | None:
    if credential.password_env is not None:
        value = sources.environment.get(credential.password_env)
        if value:
            return Secret(value)
        state = "is empty" if value == "" else "is not set"
        fail(
            "password_env",
            f"the environment variable {credential.password_env} {state}; set it to the password",
        )
        return None
    if credential.password_file is not None:
        file = sources.directory / credential.password_file
        secret = _read_file(file, fail)
        if secret is not None and world_readable(file):
            report.warning((*path, "password_file"), f"everyone can read {file}; run: chmod o-r {file}")
        return secret
    return credential.password


def _read_file(file: Path, fail: Callable[[str, str], None]) -> Secret | None:
    option = "password_file"
    try:
        with file.open("rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                fail(option, f"{file} is not a regular file; name a file that holds the password")
                return None
            data = stream.read(MAX_PASSWORD_BYTES + 1)
    except OSError as error:
        fail(option, f"cannot read {file} ({error.strerror}); create it with the password as its only line")
        return None
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if not text or len(data) > MAX_PASSWORD_BYTES or any(c in text for c in "\0\r\n"):
        fail(
            option,
            f"{file} must hold the password as its only line (UTF-8, at most {MAX_PASSWORD_BYTES} bytes)",
        )
        return None
    return Secret(text)
