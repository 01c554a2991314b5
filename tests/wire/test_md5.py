"""MD5 authentication; a real server accepts it in test_login_live.py."""

from shardproxy.secret import Secret
from shardproxy.wire.md5 import md5_response


def test_the_response_hashes_password_user_and_salt() -> None:
    # md5sum of "secretapp" is 6a42..., of that in hex and "abcd" it is this
    assert md5_response("app", Secret("secret"), b"abcd") == b"md5883f61cc18cc4ae54ca301892bb10c29"
