"""One real PostgreSQL server on this machine: create, start, stop, kill, pause, copy to a replica, promote.

Everything here is synchronous and takes milliseconds to a second; call it from a thread inside asyncio.
"""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote, urlencode

from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.os_user import OsUser
from shardproxy.demo.ports import PortLease
from shardproxy.demo.run import Run, StopMode
from shardproxy.demo.settings import changed, conninfo_value, host_based_authentication, initial_settings
from shardproxy.demo.watchdog import is_alive, signal_tree

__all__ = ["DemoError", "Install", "Run", "Server"]

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_PORT_TAKEN = re.compile(r"could not bind IPv4 address|Address already in use")
_MAX_SOCKET_PATH = 100


class Server:
    """One server of a :class:`Run`. Its superuser ``postgres`` has a random password; :meth:`dsn` knows it.

    The Unix socket, in a directory that only PostgreSQL's user can enter, asks for no password.

    Mutable: ``_process``, the postmaster that was started last, if any; ``_lease``, the port, which changes
    only when the first start finds it taken.
    """

    def __init__(self, run: Run, name: str) -> None:
        """Use :meth:`create`, :meth:`open` or :meth:`basebackup`."""
        self.run = run
        self.install: Install = run.install
        self.name = name
        self.data_dir = run.directory / name
        self.log_file = run.directory / f"{name}.log"
        self._password_file = run.directory / f"{name}.password"
        self.socket_dir = self._socket_directory()
        self._lease = PortLease.take()
        self._process: subprocess.Popen[bytes] | None = None
        run.servers.append(self)

    # -- making one --------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        run: Run,
        name: str,
        *,
        settings: Mapping[str, str] | None = None,
        auth: str = "scram-sha-256",
        template: "Server | None" = None,
    ) -> "Server":
        """Make a data directory with initdb; the server is not started.

        ``settings`` go to postgresql.conf above our own; ``auth`` is pg_hba.conf's method for TCP.
        ``template`` is a stopped server to copy instead: ten times faster, but the copy shares its system
        identifier.
        """
        server = cls(run, name)
        if template is None:
            server._initdb()
        else:
            server._copy(template)
        ours = initial_settings(run.install.version, durable=run.durable, cluster_name=name)
        server._write("shardproxy.conf", changed(ours, settings or {}))
        server._write("pg_hba.conf", host_based_authentication(auth))
        return server

    @classmethod
    def open(cls, run: Run, name: str) -> "Server":
        """The server of that name that an earlier run left in the run's directory."""
        directory, ours = run.directory / name, run.install.version[0]
        try:
            made_by = (directory / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise DemoError(f"no PostgreSQL server in {directory}") from None
        if made_by != str(ours):
            raise DemoError(
                f"{directory} is of PostgreSQL {made_by}, and {run.install.bin_dir} has PostgreSQL {ours}",
                hint=f"use the programs of PostgreSQL {made_by} (--pg-bin), or another directory",
            )
        return cls(run, name)

    def basebackup(self, name: str, *, settings: Mapping[str, str] | None = None) -> "Server":
        """Copy this running server to a streaming replica of the same run; the replica is not started."""
        replica = Server(self.run, name)
        replica._keep_password(self._password_file.read_text())
        self._user.make_directory(replica.data_dir)
        words = ["-h", str(self.socket_dir), "-p", str(self.port), "-U", "postgres"]
        words += ["-D", str(replica.data_dir), "-X", "stream", "-c", "fast"]
        words += [] if self.run.durable else ["--no-sync"]
        self._user.run([self.install.bin("pg_basebackup"), *words])
        replica.follow(self)
        replica.configure({"cluster_name": name, **(settings or {})})
        return replica

    def follow(self, primary: "Server") -> None:
        """Make this stopped server a standby of ``primary`` from its next start on.

        It must have no WAL that ``primary`` has not received (a former primary of it: pg_rewind's case).
        """
        words = {
            "host": str(primary.socket_dir),
            "port": str(primary.port),
            "user": "postgres",
            "application_name": self.name,
        }
        conninfo = " ".join(f"{word}={conninfo_value(value)}" for word, value in words.items())
        self.configure({"primary_conninfo": conninfo, "recovery_target_timeline": "latest"})
        self._write("standby.signal", "")

    def configure(self, settings: Mapping[str, str]) -> None:
        """Change settings in postgresql.conf; they count from the next start or :meth:`reload`."""
        self._write("shardproxy.conf", changed((self.data_dir / "shardproxy.conf").read_text(), settings))

    # -- its life ----------------------------------------------------------------------------------------

    def start(self, timeout: float = 60.0) -> "Server":
        """Start it and wait until it accepts connections. :raises DemoError: it did not; with its log."""
        if self.is_running:
            return self
        first = self._process is None
        for _ in range(5):
            if self._try_start(timeout):
                return self
            if not first:
                break
            # Somebody outside of our leases took the port between our look and the server's bind.
            self._lease.release()
            self._lease = PortLease.take()
        raise DemoError(f"server {self.name} did not get its port {self.port}: {self.log_tail()}")

    def stop(self, mode: StopMode = "fast", timeout: float = 30.0) -> None:
        """Shut it down and wait for its end; a server that does not end in ``timeout`` seconds is killed."""
        if not self.is_running:
            return
        assert self._process is not None
        signal_tree(self._process.pid, signal.SIGCONT)
        with suppress(ProcessLookupError):
            self._process.send_signal(_STOP_SIGNALS[mode])
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start on the same port."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL to the postmaster and all of its children: dead at once, as in a crash of the machine."""
        if not self.is_running:
            return
        assert self._process is not None
        tree = signal_tree(self._process.pid, signal.SIGKILL)
        self._process.wait()
        while any(map(is_alive, tree)):  # a signal is not yet a death
            time.sleep(0.001)

    def pause(self) -> None:
        """SIGSTOP to every process: the server hangs, its connections stay open."""
        self._signal_running(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to every process: the end of :meth:`pause`."""
        self._signal_running(signal.SIGCONT)

    def reload(self) -> None:
        """Have it read its configuration files again (asynchronously, as pg_reload_conf() does)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def promote(self, timeout: int = 30) -> None:
        """Make this running replica a primary, and wait until it is one."""
        if self.query(f"SELECT pg_promote(true, {timeout})") != "t":
            raise DemoError(f"server {self.name} was not promoted in {timeout} s: {self.log_tail()}")

    def forget(self) -> None:
        """Give back what is held outside of its data directory; the server is down and not used again."""
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        self._free_shared_memory()
        self._lease.release()

    # -- what it is --------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1, the same over restarts."""
        return self._lease.port

    @property
    def pid(self) -> int:
        """The postmaster's process id. :raises DemoError: it is not running."""
        if self._process is None or not self.is_running:
            raise DemoError(f"server {self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the postmaster exists (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether it accepts connections within a second, as pg_isready sees it."""
        try:
            self._user.run(
                [self.install.bin("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
            )
        except DemoError:
            return False
        return True

    def dsn(
        self,
        *,
        user: str = "postgres",
        password: str | None = None,
        dbname: str = "postgres",
        socket: bool = False,
        **options: str,
    ) -> str:
        """A libpq URI over TCP, or over the Unix socket; ``options`` become its query.

        The superuser's has its password; other roles' have the one given.
        """
        if user == "postgres" and password is None:
            password = self._password_file.read_text()
        who = quote(user) + (f":{quote(password, safe='')}" if password is not None else "")
        if socket:
            options = {"host": str(self.socket_dir), "port": str(self.port)} | options
        where = "" if socket else f"127.0.0.1:{self.port}"
        return f"postgresql://{who}@{where}/{quote(dbname)}" + (f"?{urlencode(options)}" if options else "")

    def query(self, sql: str, *, dbname: str = "postgres", user: str = "postgres") -> str:
        """Run SQL with psql over the Unix socket; the rows unaligned, ``|`` between columns, no last newline.

        Several statements are several transactions unless they say BEGIN; the first error stops them.
        """
        words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.socket_dir)]
        words += ["-p", str(self.port), "-U", user, "-d", dbname, "-f", "-"]
        return self._user.run([self.install.bin("psql"), *words], stdin=sql).removesuffix("\n")

    def wait_for_replay(self, primary: "Server", timeout: float = 30.0) -> None:
        """Return when this replica has replayed all that ``primary`` has written by now."""
        lsn = primary.query("SELECT pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + timeout
        while self.query(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") != "t":
            if time.monotonic() > deadline:
                raise DemoError(
                    f"replica {self.name} has not replayed {lsn} in {timeout:g} s: {self.log_tail()}"
                )
            time.sleep(0.01)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _user(self) -> OsUser:
        return self.install.os_user

    def _try_start(self, timeout: float) -> bool:
        """Start once; False when the port was taken."""
        self.run.watchdog.guard_server(self.data_dir)
        before = self.log_file.stat().st_size if self.log_file.exists() else 0
        addresses = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.socket_dir}"]
        with self.log_file.open("ab") as log:
            self._process = self._user.start(
                [self.install.bin("postgres"), "-D", self.data_dir, "-p", str(self.port), *addresses],
                output=log,
            )
        deadline = time.monotonic() + timeout
        while self._process.poll() is None:
            if self._says_ready():
                return True
            if time.monotonic() > deadline:
                self.kill()
                raise DemoError(f"server {self.name} was not ready in {timeout:g} s: {self.log_tail()}")
            time.sleep(0.005)
        if _PORT_TAKEN.search(self.log_file.read_bytes()[before:].decode(errors="replace")):
            return False
        raise DemoError(f"server {self.name} did not start: {self.log_tail()}")

    def _says_ready(self) -> bool:
        # The eighth line of postmaster.pid is the postmaster's state (miscinit.h: LOCK_FILE_LINE_PM_STATUS).
        assert self._process is not None
        with suppress(OSError):
            lines = (self.data_dir / "postmaster.pid").read_text().split("\n")
            return lines[0] == str(self._process.pid) and len(lines) >= 8 and lines[7].strip() == "ready"
        return False

    def _signal_running(self, number: signal.Signals) -> None:
        signal_tree(self.pid, number)

    def _keep_password(self, password: str) -> None:
        self._password_file.touch(mode=0o600)
        self._user.give(self._password_file)
        self._password_file.write_text(password)

    def _initdb(self) -> None:
        self._keep_password(token_urlsafe(18))
        self._user.make_directory(self.data_dir)
        # From 17 on PostgreSQL brings its own C.UTF-8, and does not depend on the machine's locales.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        words = ["-D", str(self.data_dir), "-U", "postgres", f"--pwfile={self._password_file}"]
        words += ["--encoding=UTF8", "--no-instructions"]
        words += builtin if self.install.version >= (17, 0) else ["--locale=C.UTF-8"]
        words += [] if self.run.durable else ["--no-sync"]
        self._user.run([self.install.bin("initdb"), *words])
        with (self.data_dir / "postgresql.conf").open("a") as conf:
            conf.write("include 'shardproxy.conf'\n")

    def _copy(self, template: "Server") -> None:
        if template.is_running:
            raise DemoError(f"server {template.name} is running, so it cannot be copied")
        self._keep_password(template._password_file.read_text())
        self._user.make_directory(self.data_dir)
        self._user.run(["cp", "-a", f"{template.data_dir}/.", str(self.data_dir)])

    def _socket_directory(self) -> Path:
        directory = self.run.directory / f"{self.name}.sock"
        if len(str(directory)) > _MAX_SOCKET_PATH - len("/.s.PGSQL.65535"):
            directory = Path(tempfile.mkdtemp(prefix="shardproxy-"))
            self.run.watchdog.guard_directory(directory)
            self._user.give(directory)
            return directory
        shutil.rmtree(directory, ignore_errors=True)
        return self._user.make_directory(directory)

    def _write(self, name: str, text: str) -> None:
        path = self.data_dir / name
        path.write_text(text)
        path.chmod(0o600)
        self._user.give(path)

    def _free_shared_memory(self) -> None:
        """Remove the System V segment that a killed postmaster leaves (its restart would have)."""
        with suppress(OSError, IndexError, DemoError):
            words = (self.data_dir / "postmaster.pid").read_text().split("\n")[6].split()
            self._user.run(["ipcrm", "-m", words[1]])
