"""Settings in leading comments are read or refused, never lost."""

import pytest

from shardproxy.errors import StatementError
from shardproxy.sql.hints import NO_SETTINGS, leading_comments_end, leading_settings

READ = [
    ("/* shardproxy.tenant='acme' */ SELECT 1", {"shardproxy.tenant": "acme"}),
    ("/*shardproxy.tenant='acme'*/SELECT 1", {"shardproxy.tenant": "acme"}),
    ("  \n/* shardproxy.tenant='acme' */ SELECT 1", {"shardproxy.tenant": "acme"}),
    (
        "/* shardproxy.read='replica' , shardproxy.tenant = 'acme' */ SELECT 1",
        {"shardproxy.read": "replica", "shardproxy.tenant": "acme"},
    ),
    (
        "/*application='shop',shardproxy.tenant='a',traceparent='00-5b-01'*/ SELECT 1",
        {"shardproxy.tenant": "a"},
    ),
    ("/* ShardProxy.Tenant='Acme' */ SELECT 1", {"shardproxy.tenant": "Acme"}),
    ("/* shardproxy.tenant='it\\'s' */ SELECT 1", {"shardproxy.tenant": "it's"}),
    ("/* shardproxy.tenant='it''s' */ SELECT 1", {"shardproxy.tenant": "it's"}),
    ("/* shardproxy.tenant='it%27s%2C%20100%25' */ SELECT 1", {"shardproxy.tenant": "it's, 100%"}),
    ("/* shardproxy.tenant='%C3%A9é' */ SELECT 1", {"shardproxy.tenant": "éé"}),
    ("/* shardproxy.tenant='' */ SELECT 1", {"shardproxy.tenant": ""}),
    (
        "/* shardproxy.tenant='a, shardproxy.read' */ SELECT 1",
        {"shardproxy.tenant": "a, shardproxy.read"},
    ),
    ("/* one */ /* shardproxy.tenant='acme' */ SELECT 1", {"shardproxy.tenant": "acme"}),
    ("/* shardproxy.tenant='a' *//* shardproxy.tenant='a' */ SELECT 1", {"shardproxy.tenant": "a"}),
    ("-- one\n/* shardproxy.tenant='acme' */ -- two\nSELECT 1", {"shardproxy.tenant": "acme"}),
    ("-- /*\n/* shardproxy.tenant='acme' */SELECT 1 -- */", {"shardproxy.tenant": "acme"}),
    ("\v/* shardproxy.tenant='acme' */ SELECT 1 /* two */", {"shardproxy.tenant": "acme"}),
    ("/* shardproxy.explain */ SELECT 1", {"shardproxy.explain": "on"}),
    (
        "/* shardproxy.explain, shardproxy.tenant='a' */ SELECT 1",
        {"shardproxy.explain": "on", "shardproxy.tenant": "a"},
    ),
    ("/* shardproxy.tenant='acme' */", {"shardproxy.tenant": "acme"}),
    ("/* shop, shardproxy.tenant='acme' */", {"shardproxy.tenant": "acme"}),
]


@pytest.mark.parametrize(("text", "settings"), READ, ids=[case[0] for case in READ])
def test_settings_are_read(text: str, settings: dict[str, str]) -> None:
    assert leading_settings(text.encode()) == settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1",
        "SELECT '/* shardproxy.tenant=''acme'' */'",
        "SELECT '/* shardproxy.tenant=''acme'' */' /* a string */ -- a string",
        "SELECT E'\\'/* shardproxy.tenant=''acme'' */' /* a string */",
        "SELECT $a$/* shardproxy.tenant='acme' */$a$, $$-- shardproxy.tenant='acme'$$ -- strings",
        "SELECT 1 AS \"/* shardproxy.tenant='acme' */\" -- a name",
        "SELECT 1 AS a$$, 2 /* no string */, 3 AS a$$",
        "SELECT 1 /* see the shardproxy.tenant setting */",
        "-- shardproxy.tenant is not set here\nSELECT 1",
        "/* see the shardproxy.tenant setting */ SELECT 1",
        "/*+ SeqScan(orders) */ SELECT 1",
        "/* application='shardproxy.tenant' */ SELECT 1",
        "/* /* shardproxy.tenant='acme' */ */ SELECT 1",
        "/* shardproxy.tenant='acme' SELECT 1",
        "/ 2",
        "/",
    ],
)
def test_other_texts_have_none(text: str) -> None:
    assert leading_settings(text.encode()) is NO_SETTINGS or leading_settings(text.encode()) == {}


@pytest.mark.parametrize(
    "comment",
    [
        "shardproxy.tenant=acme",
        "shardproxy.tenant='acme",
        "shardproxy.tenant=\"acme\"",
        "shardproxy.tenant",
        "shardproxy.tenant:'acme'",
        "shardproxy.tenant='acme' shardproxy.read='replica'",
        "shardproxy.tenant='acme',",
        "application=shop, shardproxy.tenant='acme'",
        "shardproxy . tenant='acme'",
        "shardproxy.tenant='50% off'",
        "shardproxy.tenant='a%00'",
        "shardproxy.tenant='a', shardproxy.tenant='b'",
        "shardproxy.tenant='a', SHARDPROXY.TENANT='b'",
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_read_is_an_error(comment: str) -> None:
    with pytest.raises(StatementError, match="leading comment") as error:
        leading_settings(f"/* {comment} */ SELECT 1".encode())
    assert error.value.sqlstate == "42601"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 /* shardproxy.tenant='acme' */",
        "SELECT 1 /*application='shop',ShardProxy.Tenant='acme'*/",
        "SELECT /* shardproxy.tenant='acme' */ 1",
        "SELECT 1; /* shardproxy.tenant='acme' */ SELECT 2",
        "; /* shardproxy.tenant='acme' */ SELECT 1",
        "(/* shardproxy.tenant='acme' */ SELECT 1)",
        "/* shardproxy.tenant='acme' */ SELECT 1 /* shardproxy.tenant='acme' */",
        "-- shardproxy.tenant='acme'\nSELECT 1",
        "SELECT 1 -- shardproxy.tenant='acme'",
        "SELECT 'it''s' /* shardproxy.tenant='acme' */",
        "SELECT E'it\\'s' /* shardproxy.tenant='acme' */",
        "SELECT $a$'$a$ /* shardproxy.tenant='acme' */, '\"'",
        "SELECT 'a\\' /* shardproxy.tenant='acme' */",
        "SELECT 1 AS a$$ /* shardproxy.tenant='acme' */, 3 AS a$$",
        "/* shardproxy.tenant='acme' */ -- shardproxy.tenant='acme'\nSELECT 1",
    ],
)
def test_a_setting_in_another_comment_is_an_error(text: str) -> None:
    with pytest.raises(StatementError, match="does not count") as error:
        leading_settings(text.encode())
    assert error.value.sqlstate == "42601"


def test_two_comments_may_not_contradict_each_other() -> None:
    with pytest.raises(StatementError, match="given twice"):
        leading_settings(b"/* shardproxy.tenant='a' */ /* shardproxy.tenant='b' */ SELECT 1")


@pytest.mark.parametrize("text", [b"/* shardproxy.tenant='\xff' */", b"/* shardproxy.tenant='%FF' */"])
def test_a_value_that_is_not_utf8_is_refused(text: bytes) -> None:
    with pytest.raises(StatementError) as error:
        leading_settings(text)
    assert error.value.sqlstate == "22021"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (b"SELECT 1", b"SELECT 1"),
        (b" SELECT 1", b" SELECT 1"),
        (b"/* a */ SELECT 1", b"SELECT 1"),
        (b" /* a */\n/* /* b */ */SELECT 1", b"SELECT 1"),
        (b"/* a */ -- b\nSELECT 1", b"SELECT 1"),
        (b"-- a\r/* b */\vSELECT 1", b"SELECT 1"),
        (b"-- a", b""),
        (b"- 1", b"- 1"),
        (b"/* a */", b""),
        (b"/* a", b"/* a"),
        (b"/* a */ /* b", b"/* a */ /* b"),
        (b"/*/ SELECT 1", b"/*/ SELECT 1"),
        (b"", b""),
    ],
)
def test_the_statement_begins_after_its_leading_comments(text: bytes, rest: bytes) -> None:
    assert text[leading_comments_end(text) :] == rest


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    [b"/*", b"*/", b"a='b',", b", ", b"\\'", b"''", b"/* */", b"/*x*/ ", b"'", b"$a$", b"$$", b"E'", b'"'],
)
def test_a_hostile_megabyte_takes_linear_time(piece: bytes) -> None:
    for text in (
        b"/* shardproxy.tenant='" + piece * (500_000 // len(piece)),
        b"/* shardproxy.tenant='" + piece * (500_000 // len(piece)) + b"' */ */",
        b"SELECT 'shardproxy' -- " + piece * (500_000 // len(piece)),
        b"SELECT 'shardproxy' /* */" + piece * (500_000 // len(piece)),
        b"SELECT 'shardproxy' /* */" + b"".join(piece + b" $a%d$" % i for i in range(50_000)),
        b"/* shardproxy.tenant='a', " + piece * (500_000 // len(piece)) + b" */",
    ):
        try:
            leading_settings(text)
        except StatementError:
            continue
