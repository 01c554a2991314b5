"""A body of PL/pgSQL, taken apart: every piece of SQL is found, and every assignment."""

import pytest

from shardproxy.sql.plpgsql import NotUnderstood, read_body


def pieces(statements: str, declarations: str = "") -> list[str]:
    return list(read_body(f"{declarations} BEGIN {statements} END").pieces)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("x := a + 1;", ["SELECT a + 1"]),
        ("x = 1;", ["SELECT 1"]),
        ("x[f(2)] := 1;", ["SELECT f(2)", "SELECT 1"]),
        ("NEW.a := CASE WHEN b THEN 1 ELSE 2 END;", ["SELECT CASE WHEN b THEN 1 ELSE 2 END"]),
        ("PERFORM f(x), 2 FROM t;", ["SELECT f(x), 2 FROM t"]),
        ("INSERT INTO t VALUES (1);", ["INSERT INTO t VALUES (1)"]),
        ("SELECT a INTO x FROM t WHERE b;", ["SELECT a FROM t WHERE b"]),
        ("SELECT INTO STRICT x, y.z a, b FROM t;", ["SELECT a, b FROM t"]),
        ("DELETE FROM t RETURNING a INTO x;", ["DELETE FROM t RETURNING a"]),
        (
            "WITH c AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a INTO x FROM c;",
            ["WITH c AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM c"],
        ),
        (
            "MERGE INTO t USING s ON a WHEN MATCHED THEN DELETE;",
            ["MERGE INTO t USING s ON a WHEN MATCHED THEN DELETE"],
        ),
        ("IF a THEN x := 1; ELSIF b THEN x := 2; ELSE x := 3; END IF;", [f"SELECT {p}" for p in "a1b23"]),
        ("CASE a WHEN 1 THEN NULL; ELSE x := b; END CASE;", ["SELECT a", "SELECT 1", "SELECT b"]),
        ("CASE WHEN a THEN NULL; END CASE;", ["SELECT a"]),
        ("LOOP EXIT WHEN a; CONTINUE; END LOOP;", ["SELECT a"]),
        ("<<l>> WHILE a LOOP EXIT l WHEN b; END LOOP l;", ["SELECT a", "SELECT b"]),
        (
            "FOR i IN REVERSE 1..f(2) BY 3 LOOP x := i; END LOOP;",
            ["SELECT 1", "SELECT f(2)", "SELECT 3", "SELECT i"],
        ),
        ("FOR r IN SELECT 1 FROM t LOOP NULL; END LOOP;", ["SELECT 1 FROM t"]),
        ("FOR r IN c LOOP NULL; END LOOP;", []),
        ("FOREACH x SLICE 1 IN ARRAY f(a) LOOP NULL; END LOOP;", ["SELECT f(a)"]),
        ("RETURN;", []),
        ("RETURN NEXT a;", ["SELECT a"]),
        ("RETURN QUERY SELECT 1 FROM t;", ["SELECT 1 FROM t"]),
        ("RAISE;", []),
        ("RAISE NOTICE 'a % %', f(1, 2), b;", ["SELECT f(1, 2)", "SELECT b"]),
        ("RAISE unique_violation USING MESSAGE = 'a' || b, HINT := c;", ["SELECT 'a' || b", "SELECT c"]),
        ("RAISE EXCEPTION SQLSTATE '22012';", []),
        ("RAISE EXCEPTION USING ERRCODE = f('a;b');", ["SELECT f('a;b')"]),
        ("ASSERT a, b;", ["SELECT a", "SELECT b"]),
        ("GET STACKED DIAGNOSTICS x = ROW_COUNT, y := MESSAGE_TEXT;", []),
        ("OPEN c; FETCH RELATIVE -2 FROM c INTO x; MOVE NEXT IN c; CLOSE c;", []),
        ("OPEN c NO SCROLL FOR SELECT 1 FROM t;", ["SELECT 1 FROM t"]),
        (
            "BEGIN x := 1; EXCEPTION WHEN OTHERS THEN x := 2; WHEN a OR b THEN x := 3; END;",
            [f"SELECT {p}" for p in "123"],
        ),
        ("x := /* ; */ 1; -- y := 2;\n", ["SELECT 1"]),
        ("x := ';' || $$ END; $$;", ["SELECT ';' || $$ END; $$"]),
        ('"if" := 1; perform := 2;', ["SELECT 1", "SELECT 2"]),
    ],
)
def test_every_piece_of_sql_is_found(statements: str, expected: list[str]) -> None:
    assert pieces(statements) == expected


def test_declarations_have_sql_too() -> None:
    declared = (
        'DECLARE a int; b CONSTANT numeric(3, 2) NOT NULL := f(1); "C c" t.d%TYPE DEFAULT 2; e record := (SELECT t FROM t);'
        " k CURSOR (p int) FOR SELECT 1 FROM u; l NO SCROLL CURSOR IS SELECT 2;"
    )
    body = read_body(f"<<o>> {declared} BEGIN NULL; END o;")
    assert body.pieces == (
        "SELECT f(1)",
        "SELECT 2",
        "SELECT (SELECT t FROM t)",
        "SELECT 1 FROM u",
        "SELECT 2",
    )
    assert {"a", "b", "C c", "e", "k", "l", "p"} <= body.declared


@pytest.mark.parametrize(
    "statements",
    [
        "EXECUTE 'SELECT 1';",
        "EXECUTE format('SELECT 1') INTO x USING NEW;",
        "CALL p(NEW.tenant_id);",
        "DO $$ $$;",
        "FOR r IN EXECUTE 'SELECT 1' LOOP NULL; END LOOP;",
        "RETURN QUERY EXECUTE 'SELECT 1';",
        "OPEN c FOR EXECUTE 'SELECT 1';",
        "OPEN c (f(1));",
        "FETCH RELATIVE f(1) FROM c INTO x;",
        "MOVE FORWARD r.f FROM c;",
        "FOR r IN c (f(1)) LOOP NULL; END LOOP;",
        "COMMIT;",
        "TRUNCATE t;",
        "NOTIFY c;",
        "CREATE TABLE t (a int);",
        "SET x = 1;",
        "SELECT 1 INTO x INTO y;",
        'U&"new".a := 1;',
        "IF a THEN x := 1;",
        "x := (1;",
        "x := ;",
        "(SELECT 1);",
        "SELECT 'a;",
        "x := 1",
        "IF a; THEN NULL; END IF;",
        "RAISE f(1);",
    ],
)
def test_what_runs_text_or_is_not_plpgsql_is_not_understood(statements: str) -> None:
    with pytest.raises(NotUnderstood):
        pieces(statements)


def test_options_aliases_and_what_follows_the_block_are_not_understood() -> None:
    for source in (
        "#variable_conflict use_variable\nBEGIN NULL; END",
        "DECLARE n ALIAS FOR new; BEGIN NULL; END",
        "BEGIN NULL; END; SELECT 1",
        "SELECT 1",
        "",
    ):
        with pytest.raises(NotUnderstood):
            read_body(source)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("NEW.status := 'x'; RETURN NEW;", True),
        ("new.status = upper(NEW.tenant_id); RETURN new;", True),
        (
            "IF NEW.tenant_id = 'x' OR NEW.tenant_id <> OLD.tenant_id THEN RAISE 'no'; END IF; RETURN OLD;",
            True,
        ),
        ("SELECT now(), 1 INTO NEW.at, x; RETURN COALESCE(NEW, OLD);", True),
        ("GET DIAGNOSTICS NEW.n = ROW_COUNT; RETURN NULL;", True),
        ("NEW.tags[1] := 'x'; RETURN NEW;", True),
        ("NEW.tenant_id := 'x';", False),
        ("NEW.tenant_id = 'x';", False),
        ('"new"."tenant_id" := \'x\';', False),
        ("touch.NEW.tenant_id := 'x';", False),
        ("OLD.tenant_id := 'x'; RETURN OLD;", False),
        ("NEW := OLD;", False),
        ("NEW := NEW #= hstore('tenant_id', 'x');", False),
        ("NEW := jsonb_populate_record(NEW, '{}');", False),
        ("NEW.tenant_id[1] := 'x';", False),
        ("SELECT 'x' INTO NEW.tenant_id;", False),
        ("SELECT 1, 'x' INTO x, NEW.tenant_id;", False),
        ("SELECT * INTO NEW FROM t;", False),
        ("SELECT INTO STRICT NEW * FROM t;", False),
        ("INSERT INTO t VALUES (1) RETURNING 'x' INTO NEW.tenant_id;", False),
        ("GET DIAGNOSTICS x = ROW_COUNT, NEW.tenant_id = TABLE_NAME;", False),
        ("FETCH c INTO NEW;", False),
        ("FETCH FROM c INTO x, NEW.tenant_id;", False),
        ("FOR new IN SELECT * FROM t LOOP RETURN new; END LOOP;", False),
        ("FOR NEW.tenant_id, x IN SELECT 1, 2 LOOP NULL; END LOOP;", False),
        ("FOREACH NEW.tenant_id IN ARRAY a LOOP NULL; END LOOP;", False),
        ("DECLARE new orders := ROW('x'); BEGIN RETURN new; END;", False),
        ("DECLARE old orders; BEGIN RETURN old; END;", False),
        ("RETURN r;", False),
        ("RETURN new.a;", False),
        ("RETURN ne w;", False),
        ("RETURN NEW #= 'tenant_id=>x';", False),
        ("RETURN (SELECT o FROM orders o LIMIT 1);", False),
        ("RETURN COALESCE(r, NEW);", False),
        ("IF a THEN RETURN NEW; END IF; RETURN ROW('x');", False),
        ("BEGIN NULL; EXCEPTION WHEN OTHERS THEN NEW.tenant_id := 'x'; END;", False),
    ],
)
def test_a_row_keeps_its_key_where_nothing_assigns_it(statements: str, expected: bool) -> None:
    body = read_body(f"DECLARE x text; r record; BEGIN {statements} END")
    assert (body.spares("tenant_id") and body.returns_its_row()) is expected
