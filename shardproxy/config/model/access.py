"""Who may connect, and the login the proxy uses on the shards. Passwords are :class:`Secret` from here on."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from shardproxy.config.model.section import Section, refuse
from shardproxy.secret import Secret

VERIFIER_PREFIX = "SCRAM-SHA-256$"
_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$[0-9]{1,9}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}="
)


class _SecretText:
    """Annotation: text that becomes a Secret; no error ever quotes it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._parse)

    @staticmethod
    def _parse(value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value:
            refuse("give the password as text, in quotes")
        if "\0" in value:
            refuse("a password cannot contain the character NUL")
        return Secret(value)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1}


class Credential(Section):
    """A password, given in one of three ways. After loading, ``password`` holds it whichever way was used."""

    password: Annotated[Secret | None, _SecretText()] = Field(
        default=None, description="The password itself."
    )
    password_file: Path | None = Field(
        default=None,
        description="File whose first line is the password; relative to the configuration file's directory.",
    )
    password_env: str | None = Field(
        default=None, min_length=1, description="Name of the environment variable that holds the password."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [
            name for name in ("password", "password_file", "password_env") if name in self.model_fields_set
        ]
        if len([name for name in given if getattr(self, name) is not None]) > 1:
            refuse(f"give only one of {', '.join(given)}")
        return self


def is_verifier(secret: Secret) -> bool:
    """True when the secret is a SCRAM-SHA-256 verifier as in pg_authid.rolpassword."""
    return secret.reveal().startswith(VERIFIER_PREFIX)


def verifier_is_well_formed(secret: Secret) -> bool:
    """True when a verifier has the shape ``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``."""
    return _VERIFIER.fullmatch(secret.reveal()) is not None


class User(Credential):
    """One user that applications log in as. The password may be a SCRAM-SHA-256 verifier from pg_authid."""

    name: str = Field(min_length=1, max_length=63, description="The user name applications connect with.")


class Auth(Section):
    """How applications log in."""

    method: Literal["scram", "trust"] = Field(
        default="scram",
        description=(
            "scram: users log in with the password below (SCRAM-SHA-256). "
            "trust: any user name is let in without a password; only for sockets that nobody else can reach."
        ),
    )
    users: tuple[User, ...] = Field(default_factory=tuple, description="The users applications log in as.")


class ServerLogin(Credential):
    """The login the proxy uses on every shard; a shard can override user, password and database."""

    user: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Role the proxy logs in as; required unless every shard names its own.",
    )
    database: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Database on the shards; defaults to the name in `database`.",
    )
    application_name: str = Field(
        default="shardproxy",
        max_length=63,
        description="application_name of server connections while no client has set its own.",
    )


class Operator(Credential):
    """The login of the commands that install and move; the sidecar itself never uses it."""

    user: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description=(
            "Role that commands such as init and tenant move log in as on every shard: a superuser, or the "
            "owner of the tables with the rights that the README lists."
        ),
    )


UserName = Annotated[str, Field(min_length=1, max_length=63)]


class Console(Section):
    """Who may use the console, the virtual database ``shardproxy``."""

    admins: tuple[UserName, ...] = Field(
        default_factory=tuple, description="Users who may look at everything, move tenants and reload."
    )
    readers: tuple[UserName, ...] = Field(
        default_factory=tuple, description="Users who may look at everything and change nothing."
    )
