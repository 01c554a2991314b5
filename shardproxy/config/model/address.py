"""Where to listen and where servers are: TCP addresses and Unix sockets named as PostgreSQL names them."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue

from shardproxy.config.model.section import Section, refuse

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\]\s]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>[0-9]+))?", re.ASCII)
_UNIX_PORT = re.compile(r"(?P<unix>/[^:]*)(?::(?P<port>[0-9]+))?", re.ASCII)
_HOST = re.compile(r"[^\s/\[\]]+")
_NO_HOST = "must be a host name or an IP address, without a port or a scheme"
_MAX_SOCKET_PATH = 107  # sun_path on Linux, without the closing NUL


def split_address(text: str) -> dict[str, Any]:
    """``host``, ``host:port``, ``[v6]:port``, ``/directory`` or ``/directory:port`` as a mapping.

    The text is not quoted in the error: people paste URLs with passwords here.
    """
    match = _HOST_PORT.fullmatch(text) or _UNIX_PORT.fullmatch(text)
    if match is None:
        refuse("is not an address; write host:port, [IPv6]:port or /socket/directory:port")
    found = match.groupdict()
    parts: dict[str, Any] = (
        {"unix": found["unix"]} if "unix" in found else {"host": found["v6"] or found["host"]}
    )
    if found["port"] is not None:
        parts["port"] = found["port"]
    return parts


class Endpoint(Section):
    """A TCP address or a Unix socket; exactly one of ``host`` and ``unix`` is given."""

    host: str | None = Field(default=None, description="Host name or IP address.")
    unix: Path | None = Field(
        default=None,
        description="Directory of a Unix socket instead of a host; its file is .s.PGSQL.<port>.",
    )

    @classmethod
    def expand(cls, text: str) -> dict[str, Any]:
        return split_address(text)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.host is None) == (self.unix is None):
            refuse("give either host or unix (a socket directory)")
        if self.host is not None and not _HOST.fullmatch(self.host):
            refuse(f"host {_NO_HOST}")
        return self

    @property
    def socket_path(self) -> Path | None:
        """The Unix socket's file, None for TCP."""
        return None if self.unix is None else self.unix / f".s.PGSQL.{self._port}"

    @property
    def _port(self) -> int:
        raise NotImplementedError

    @model_validator(mode="after")
    def _socket_path_fits(self) -> Self:
        path = self.socket_path
        if path is not None and not path.is_absolute():
            refuse("unix must be an absolute directory, beginning with /")
        if path is not None and len(bytes(path)) > _MAX_SOCKET_PATH:
            refuse(f"unix is too long: a socket's path has at most {_MAX_SOCKET_PATH} bytes; shorten it")
        return self

    def __str__(self) -> str:
        if self.unix is not None:
            return f"{self.unix}:{self._port}"
        return (
            f"[{self.host}]:{self._port}" if self.host and ":" in self.host else f"{self.host}:{self._port}"
        )


class Address(Endpoint):
    """Where a PostgreSQL server is."""

    SHORT_FORM: ClassVar[JsonSchemaValue | None] = {
        "type": "string",
        "description": "host:port, [IPv6]:port or /socket/directory:port; the port defaults to 5432.",
    }

    port: int = Field(
        default=5432, ge=1, le=65535, description="TCP port, or the number in the socket's name."
    )

    @property
    def _port(self) -> int:
        return self.port


def _parse_mode(value: Any) -> Any:
    """Octal text, as chmod takes it, to permission bits; a Python int is taken as it is."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"0?[0-7]{3}", value):
        refuse("give permissions in octal, as for chmod, for example 0777 or 0660")
    return int(value, 8)


FileMode = Annotated[
    int,
    BeforeValidator(_parse_mode),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^0?[0-7]{3}$"}, {"type": "integer"}]}),
]


class Listener(Endpoint):
    """Where applications connect."""

    SHORT_FORM: ClassVar[JsonSchemaValue | None] = {
        "type": "string",
        "description": "host:port, [IPv6]:port or /socket/directory:port; the port defaults to 6432.",
    }

    port: int = Field(
        default=6432,
        ge=0,
        le=65535,
        description="TCP port, or the number in the socket's name; 0 lets the system choose a free TCP port.",
    )
    unix_mode: FileMode = Field(
        default=0o777,
        json_schema_extra={"default": "0777"},
        description="Permissions of the Unix socket, octal; passwords still protect it.",
    )

    @property
    def _port(self) -> int:
        return self.port

    @model_validator(mode="after")
    def _unix_needs_a_port(self) -> Self:
        if self.unix is not None and self.port == 0:
            refuse("a Unix socket needs a port other than 0, because its file is named after it")
        return self


class Http(Section):
    """Where /metrics, /healthz and /readyz are served."""

    host: str = Field(default="127.0.0.1", description="Host name or IP address to listen on.")
    port: int = Field(
        default=9187, ge=0, le=65535, description="TCP port; 0 lets the system choose a free one."
    )

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        return host if _HOST.fullmatch(host) else refuse(_NO_HOST)
