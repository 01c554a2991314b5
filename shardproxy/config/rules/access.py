"""Rules about users, passwords, the console and who can reach the listeners."""

import ipaddress

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config, Listener
from shardproxy.config.model.access import is_verifier, verifier_is_well_formed
from shardproxy.config.report import Report
from shardproxy.config.rules.declared import Declared
from shardproxy.console.options import NAME as CONSOLE


def check_access(config: Config, declared: Declared, report: Report) -> None:
    """Users are named once and can log in; shards have a login; trust stays on this machine."""
    _check_users(config, report)
    _check_console(config, report)
    _check_server_logins(config, declared, report)
    if config.auth.method == "trust":
        for i, listener in enumerate(config.listen):
            if not _local_only(listener):
                report.warning(
                    ("listen", i),
                    "other machines can connect here without a password; use scram or a loopback address",
                )


def _check_users(config: Config, report: Report) -> None:
    seen: set[str] = set()
    for i, user in enumerate(config.auth.users):
        path: OptionPath = ("auth", "users", i)
        if user.name in seen:
            report.mistake((*path, "name"), f"user '{user.name}' is listed twice; keep one")
        seen.add(user.name)
        given = (user.password, user.password_file, user.password_env)
        if (
            config.auth.method == "scram"
            and not _auth_is_unusable(report)
            and all(one is None for one in given)
        ):
            report.mistake(
                path, f"user '{user.name}' has no password; add password, password_file or password_env"
            )
        if (
            user.password is not None
            and is_verifier(user.password)
            and not verifier_is_well_formed(user.password)
        ):
            report.mistake(
                (*path, "password"),
                "begins like a SCRAM-SHA-256 verifier but is not one; copy pg_authid.rolpassword completely",
            )
    if config.auth.method == "scram" and not config.auth.users and not _auth_is_unusable(report):
        report.mistake(
            ("auth", "users"),
            "nobody can log in; list users with passwords, or set auth.method: trust on a loopback listener",
        )


def _auth_is_unusable(report: Report) -> bool:
    """What stands under auth cannot be used, so that its default is not what the file means."""
    return any(path[0] == "auth" for path in report.unusable)


def _check_console(config: Config, report: Report) -> None:
    if config.database == CONSOLE:
        report.mistake(
            ("database",), f"'{CONSOLE}' is the console's name; let applications connect to another one"
        )
    users = {user.name for user in config.auth.users}
    seen: set[str] = set()
    for name, listed in (("admins", config.console.admins), ("readers", config.console.readers)):
        for i, user in enumerate(listed):
            path: OptionPath = ("console", name, i)
            if user in seen:
                report.mistake(path, f"user '{user}' is listed twice; keep one")
            elif config.auth.method == "scram" and user not in users and not _auth_is_unusable(report):
                report.mistake(path, f"user '{user}' is not in auth.users; add it there with a password")
            seen.add(user)
    if seen and config.auth.method == "trust":
        report.warning(
            ("console",), "with auth.method: trust everybody who can connect can say to be one of these"
        )


def _check_server_logins(config: Config, declared: Declared, report: Report) -> None:
    without = next((shard.name for shard in config.shards if shard.user is None), None)
    # Without any shard in the file there is a stand-in for one.
    if config.server.user is None and without is not None and ("server",) not in report.unusable:
        which = f" (shard '{without}' names none)" if declared.shards else ""
        report.mistake(("server", "user"), f"is missing; add the role the proxy logs in as{which}")
    paths: list[OptionPath] = [("server",), *(("shards", i) for i in range(len(config.shards)))]
    for path, login in zip(paths, (config.server, *config.shards), strict=True):
        if login.password is not None and is_verifier(login.password):
            option = next(
                (name for name in ("password_file", "password_env") if getattr(login, name) is not None),
                "password",
            )
            report.mistake(
                (*path, option),
                "is a SCRAM verifier, which cannot log in to a server; give the password itself",
            )


def _local_only(listener: Listener) -> bool:
    if listener.host is None or listener.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(listener.host).is_loopback
    except ValueError:
        return False
