"""Whatever comes first on a connection, the proxy closes it in time and serves everybody else."""

import random
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from shardproxy.wire.client_messages import (
    GSSENC_REQUEST_CODE,
    SSL_REQUEST_CODE,
    cancel_request,
    startup,
)
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.server_messages import parse_error
from tests.support import rest
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient


@pytest.fixture(autouse=True)
def it_still_serves(trusting: Proxy) -> Iterator[None]:
    """After each test there is nobody left, nothing was logged as an internal error, and a client is served."""
    yield
    with WireClient(f"postgresql://app@127.0.0.1:{trusting.port}/shop") as client:
        assert client.query("SELECT 1")[-2] == "CommandComplete SELECT 1"
    assert "internal error" not in trusting.log
    assert "Traceback" not in trusting.log


def packet(code: int, rest: bytes = b"") -> bytes:
    return struct.pack("!II", 8 + len(rest), code) + rest


def knock(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def answer(proxy: Proxy, data: bytes) -> bytes:
    """Everything that comes back, up to the end."""
    with knock(proxy) as sock:
        sock.sendall(data)
        try:
            return b"".join(iter(lambda: sock.recv(65_536), b""))
        except ConnectionResetError:
            return b""


SSL, GSS = packet(SSL_REQUEST_CODE), packet(GSSENC_REQUEST_CODE)
HELLO = startup({"user": "app", "database": "shop"})


def test_encryption_is_declined_and_the_login_goes_on(trusting: Proxy) -> None:
    with knock(trusting) as sock:
        for request in (GSS, SSL):
            sock.sendall(request)
            assert sock.recv(10) == b"N"
        sock.sendall(HELLO)
        assert sock.recv(1) == b"R"


def test_encryption_is_asked_for_once_each(trusting: Proxy) -> None:
    told = answer(trusting, SSL + GSS + SSL)
    assert told.startswith(b"NNE")
    assert b"08P01" in told


FIRST_PACKETS = {
    "nothing": b"",
    "zeros": bytes(64),
    "a length of 7": struct.pack("!II", 7, 196608),
    "a length of 4 GiB": b"\xff\xff\xff\xff" * 4,
    "a negative length": struct.pack("!iI", -1, 196608),
    "a length of 10,001": struct.pack("!II", 10_005, 196608),
    "HTTP": b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    "protocol 2": packet(0x00020000, b"user\0app\0\0"),
    "protocol 4": packet(0x00040000, b"user\0app\0\0"),
    "no user": packet(196608, b"database\0shop\0\0"),
    "no terminator": packet(196608, b"user\0app"),
    "a name without a value": packet(196608, b"user\0app\0database\0\0"),
    "not UTF-8": packet(196608, b"user\0\xff\xfe\0\0"),
    "a cancel without a key": packet(80877102),
    "a cancel with a long key": packet(80877102, bytes(300)),
    "an SSLRequest with more": packet(SSL_REQUEST_CODE, b"more"),
    "10,000 settings": packet(196608, b"user\0app\0" + b"a\0b\0" * 2400 + b"\0"),
    "a setting of 9,000 bytes": packet(196608, b"user\0app\0application_name\0" + b"x" * 9000 + b"\0\0"),
}


@pytest.mark.parametrize("data", FIRST_PACKETS.values(), ids=FIRST_PACKETS.keys())
def test_a_strange_first_packet_ends_in_an_error_or_silence(trusting: Proxy, data: bytes) -> None:
    started = time.monotonic()
    told = answer(trusting, data)
    assert time.monotonic() - started < 3
    if told[:1] == b"E":
        fields = parse_error(FrameReader(100_000).feed(told)[0][1])
        assert fields["S"] == "FATAL"
        assert fields["C"] in ("08P01", "0A000", "28000", "22021", "42704", "3D000", "57014")


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_survived(trusting: Proxy, seed: int) -> None:
    noise = random.Random(seed)
    data = noise.choice([b"", HELLO, SSL, SSL + HELLO, cancel_request(1, b"1234")])
    data += noise.randbytes(noise.randrange(1, 3000))
    with knock(trusting) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(65_536):
                pass
        except ConnectionResetError:
            pass


@pytest.mark.parametrize(
    "data",
    [
        b"Z\0\0\0\x04",
        b"Q\0\0\0\x03",
        b"Q\xff\xff\xff\xff",
        b"Q\0\0\0\x05x",
        b"p\0\0\0\x06x\0",
        b"\0\0\0\0\x04",
    ],
    ids=repr,
)
def test_a_broken_message_after_the_login_is_fatal(trusting: Proxy, data: bytes) -> None:
    messages = FrameReader(100_000).feed(answer(trusting, HELLO + data))
    kind, body = messages[-1]
    assert kind == ord("E")
    assert (parse_error(body)["S"], parse_error(body)["C"]) == ("FATAL", "08P01")


def test_who_takes_too_long_to_log_in_is_shown_out(trusting: Proxy) -> None:
    """A byte now and then does not help, nor does stopping anywhere in the login."""
    slow = [knock(trusting) for _ in range(50)]
    try:
        for number, sock in enumerate(slow):
            sock.sendall(HELLO[: number % 20])
        with WireClient(f"postgresql://app@127.0.0.1:{trusting.port}/shop") as client:
            assert client.query("SELECT 1")[-2] == "CommandComplete SELECT 1", "others come in meanwhile"
        started = time.monotonic()
        ended: set[socket.socket] = set()
        while len(ended) < len(slow) and time.monotonic() - started < 5:
            for sock in slow:
                if sock in ended:
                    continue
                try:
                    sock.sendall(b"\0")
                except OSError:
                    ended.add(sock)
            select.select([], [], [], 0.05)
        assert len(ended) == len(slow)
    finally:
        for sock in slow:
            sock.close()


def test_who_takes_too_long_is_told_so(trusting: Proxy) -> None:
    with knock(trusting) as sock:
        sock.sendall(SSL)
        assert sock.recv(1) == b"N"
        told = b"".join(iter(lambda: sock.recv(65_536), b""))
        fields = parse_error(FrameReader(100_000).feed(told)[0][1])
        assert fields["M"] == "canceling authentication due to timeout"


def test_an_endless_password_is_not_collected(proxy: Proxy) -> None:
    with knock(proxy) as sock:
        sock.sendall(HELLO)
        assert sock.recv(1) == b"R"
        sock.sendall(b"p\0\xff\xff\xff")
        assert b"08P01" in b"".join(iter(lambda: sock.recv(65_536), b"")), "a password of 16 MiB is none"


def test_many_who_only_knock_cost_little(trusting: Proxy) -> None:
    before = rest.resident_bytes(trusting)
    knocking = [knock(trusting) for _ in range(300)]
    try:
        for sock in knocking:
            sock.sendall(struct.pack("!II", 10_000, 196608) + bytes(5_000))
        with WireClient(f"postgresql://app@127.0.0.1:{trusting.port}/shop") as client:
            assert client.query("SELECT 1")[-2] == "CommandComplete SELECT 1"
        assert rest.resident_bytes(trusting) - before < 20 << 20
    finally:
        for sock in knocking:
            sock.close()
