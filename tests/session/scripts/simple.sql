# Each line is one Query message, "<empty>" one without text. A heading names the script of the lines below it.

# simple queries

== one row
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== no rows
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' AND code = 'none'

== no columns
SELECT

== no columns of a table
SELECT FROM coupons WHERE tenant_id = 'hooli'

== null and empty
SELECT NULL, '', ' ', NULL::int

== empty query
<empty>

== comment and semicolon
/* a */;-- b

== empty statements around one
;;SELECT 1;;

== two statements
SELECT 1; SELECT 2

== several statements of all kinds
INSERT INTO coupons VALUES ('hooli', 't1', 1); SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code; DELETE FROM coupons WHERE tenant_id = 'hooli' AND code = 't1'

== syntax error
SELEC 1

== syntax error at the end
SELECT 1 FROM

== syntax error in the second statement
INSERT INTO coupons VALUES ('hooli', 't1', 1); SELEC 1
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== position behind characters of several bytes
SELECT 'äöü€', nothing

== unterminated string
SELECT 'abc

== unknown table
SELECT * FROM nothing_here

== unknown column
SELECT nothing_here FROM coupons WHERE tenant_id = 'hooli'

== unknown function
SELECT nothing_here(1)

== division by zero
SELECT 1/0

== error after rows
SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i

== error in the middle undoes what was before
INSERT INTO coupons VALUES ('hooli', 't1', 1); SELECT 1/0; INSERT INTO coupons VALUES ('hooli', 't2', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== constraint violated
INSERT INTO coupons VALUES ('hooli', 'WELCOME1', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== check of a type
INSERT INTO coupons VALUES ('hooli', 't1', 'many')
INSERT INTO coupons VALUES ('hooli', 't1', 99999)

== not null violated
INSERT INTO coupons VALUES ('hooli', 't1', NULL)

== foreign key violated
DELETE FROM tenants WHERE tenant_id = 'hooli'

== returning
UPDATE coupons SET percent = percent + 1 WHERE tenant_id = 'hooli' RETURNING code, percent - 1
UPDATE coupons SET percent = percent - 1 WHERE tenant_id = 'hooli'

== types
SELECT 1::int2, 2::int8, 3.50::numeric, 1.5::float8, true, 'x'::text, '{1,2}'::int[], '2024-02-29'::date, '1 day 2 h'::interval, '\xdead'::bytea, '{"a": 1}'::jsonb

== eight megabytes in a row
SELECT repeat('x', 8 * 1024 * 1024), 1

== many rows
SELECT i, repeat('z', 50) FROM generate_series(1, 3000) AS i

== explain
EXPLAIN (COSTS OFF) SELECT 1

== values
VALUES (1, 'a'), (2, NULL)

== notices
CREATE TEMP TABLE scratch (a int)
CREATE TEMP TABLE IF NOT EXISTS scratch (a int)
SET client_min_messages = error
CREATE TEMP TABLE IF NOT EXISTS scratch (a int)

== code is refused
DO $$BEGIN RAISE NOTICE 'hello'; END$$
BEGIN
SELECT code FROM coupons WHERE tenant_id = 'hooli' AND code = 'WELCOME1'
DO $$BEGIN RAISE NOTICE 'hello'; END$$
SELECT 1
ROLLBACK

== a transaction on two shards is refused
BEGIN
SELECT now() IS NULL AS never
SELECT code FROM coupons WHERE tenant_id = 'hooli' AND code = 'WELCOME1'
SELECT 1
COMMIT

== block
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== block rolled back
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
ROLLBACK
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== empty block
BEGIN
COMMIT
BEGIN
ROLLBACK

== other words for it
START TRANSACTION
END
BEGIN WORK
ABORT
BEGIN TRANSACTION
COMMIT WORK

== begin twice
BEGIN
BEGIN
COMMIT

== begin twice on a server
BEGIN
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
BEGIN
COMMIT

== commit outside
COMMIT
ROLLBACK
END
ABORT

== failed block
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SELECT 1/0
SELECT 1
INSERT INTO coupons VALUES ('hooli', 't2', 1)
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== failed block rolled back
BEGIN
SELECT 1/0
ROLLBACK
SELECT 1

== first statement fails
BEGIN
SELEC
SELECT 1
COMMIT
SELECT 2

== unknown table in a block
BEGIN
SELECT * FROM nothing_here
SELECT 1
BEGIN
END

== syntax error in an open block
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SELEC
SELECT 1
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== empty query in blocks
BEGIN
<empty>
SELECT 1/0
<empty>
-- x
ROLLBACK

== set, show and others in a failed block
BEGIN
SELECT 1/0
SHOW timezone
SET timezone = 'UTC'
RESET ALL
SAVEPOINT a
RELEASE a
BEGIN
COMMIT

== failed before any server knew
BEGIN
SAVEPOINT a
SELEC
SHOW timezone
SAVEPOINT b
RELEASE a
ROLLBACK TO nothing
ROLLBACK TO a
SELECT 1
COMMIT

== and chain
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
COMMIT AND CHAIN
INSERT INTO coupons VALUES ('hooli', 't2', 1)
ROLLBACK AND CHAIN
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
COMMIT AND NO CHAIN
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== and chain of an empty block
BEGIN ISOLATION LEVEL REPEATABLE READ
COMMIT AND CHAIN
SHOW transaction_isolation
ROLLBACK AND CHAIN
SHOW transaction_isolation
COMMIT
SHOW transaction_isolation

== and chain of an open block
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
SELECT 1
COMMIT AND CHAIN
SHOW transaction_isolation
SHOW transaction_read_only
ROLLBACK

== and chain of a failed block
BEGIN
SELECT 1/0
COMMIT AND CHAIN
SELECT 1
COMMIT

== and chain outside
COMMIT AND CHAIN
ROLLBACK AND CHAIN
SELECT 1

== isolation levels
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE
SHOW transaction_isolation
SHOW transaction_read_only
SHOW transaction_deferrable
COMMIT

== set transaction
BEGIN
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
SHOW transaction_isolation
COMMIT
SHOW transaction_isolation

== set transaction too late
BEGIN
SELECT 1
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
ROLLBACK

== set transaction outside
SET TRANSACTION READ ONLY
SHOW transaction_read_only

== set transaction_isolation
BEGIN
SET transaction_isolation = 'serializable'
SHOW transaction_isolation
COMMIT

== set transaction to nonsense
BEGIN
SET transaction_isolation = 'nonsense'
SELECT 1
ROLLBACK

== read only
BEGIN READ ONLY
INSERT INTO coupons VALUES ('hooli', 't1', 1)
ROLLBACK
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== set session characteristics
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
INSERT INTO coupons VALUES ('hooli', 't1', 1)
BEGIN READ WRITE
INSERT INTO coupons VALUES ('hooli', 't1', 1)
ROLLBACK
SHOW default_transaction_read_only

# savepoints

== savepoints
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SAVEPOINT a
INSERT INTO coupons VALUES ('hooli', 't2', 1)
ROLLBACK TO a
INSERT INTO coupons VALUES ('hooli', 't3', 1)
RELEASE a
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== savepoints before any statement
BEGIN
SAVEPOINT a
SAVEPOINT b
RELEASE b
ROLLBACK TO SAVEPOINT a
RELEASE SAVEPOINT a
INSERT INTO coupons VALUES ('hooli', 't1', 1)
ROLLBACK TO a
COMMIT

== savepoints of one name
BEGIN
SAVEPOINT a
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SAVEPOINT a
INSERT INTO coupons VALUES ('hooli', 't2', 1)
ROLLBACK TO a
RELEASE a
ROLLBACK TO a
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== savepoint outside
SAVEPOINT a
RELEASE a
ROLLBACK TO a

== unknown savepoint
BEGIN
ROLLBACK TO nothing
SELECT 1
ROLLBACK

== unknown savepoint on a server
BEGIN
SELECT 1
RELEASE nothing
SELECT 1
ROLLBACK

== error and back to the savepoint
BEGIN
SAVEPOINT a
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' AND 1/0 = 1
SELECT 1
ROLLBACK TO a
SELECT 2
INSERT INTO coupons VALUES ('hooli', 't1', 1)
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== error twice
BEGIN
INSERT INTO coupons VALUES ('hooli', 't1', 1)
SAVEPOINT a
SELEC
ROLLBACK TO a
SELECT 1/0
ROLLBACK TO a
COMMIT
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== released savepoints are gone
BEGIN
SAVEPOINT a
SAVEPOINT b
RELEASE a
ROLLBACK TO b
ROLLBACK

== names of savepoints
BEGIN
SAVEPOINT "Two Words"
SAVEPOINT Plain
ROLLBACK TO plain
RELEASE "Two Words"
COMMIT

# several statements with transaction statements among them

== block in one query
BEGIN; INSERT INTO coupons VALUES ('hooli', 't1', 1); COMMIT; SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== block opened in one query
BEGIN; INSERT INTO coupons VALUES ('hooli', 't1', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
ROLLBACK
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== block opened and left empty
BEGIN; SELECT 1
COMMIT

== commit in the middle
INSERT INTO coupons VALUES ('hooli', 't1', 1); COMMIT; INSERT INTO coupons VALUES ('hooli', 't2', 1); SELECT 1/0
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== rollback in the middle
INSERT INTO coupons VALUES ('hooli', 't1', 1); ROLLBACK; INSERT INTO coupons VALUES ('hooli', 't2', 1)
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== begin in the middle
INSERT INTO coupons VALUES ('hooli', 't1', 1); BEGIN; INSERT INTO coupons VALUES ('hooli', 't2', 1)
ROLLBACK
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== only transaction statements
BEGIN; COMMIT; BEGIN
SELECT 1
ROLLBACK; COMMIT

== savepoint in an implicit block
SELECT 1; SAVEPOINT a
SELECT 1

== error closes what the query opened
BEGIN; SELECT 1/0
SELECT 1
ROLLBACK

== failed block ended in a query of several
BEGIN
SELECT 1/0
ROLLBACK; SELECT 1
SELECT 2

== set in a query that fails
SET work_mem = '8MB'; SELECT 1/0
SHOW work_mem

== set and use
SET work_mem = '8MB'; SHOW work_mem
SHOW work_mem
RESET work_mem; SHOW work_mem

== set local in an implicit block
SET LOCAL work_mem = '9MB'; SHOW work_mem
SHOW work_mem

== vacuum is refused
SELECT 1; VACUUM nothing_here

# settings

== set and show
SET work_mem = '7MB'
SHOW work_mem
RESET work_mem
SHOW work_mem

== set what is reported
SET TIME ZONE 'Asia/Tokyo'
SHOW timezone
SET datestyle TO 'German, DMY'
SET intervalstyle = iso_8601
SET application_name = 'me'
RESET ALL

== set to nonsense
SET work_mem = 'lots'
SET nothing_here = 1
SET timezone = 'Nowhere/Land'
SHOW work_mem

== show unknown
SHOW nothing_here
RESET nothing_here

== set local outside
SET LOCAL work_mem = '7MB'
SHOW work_mem

== set local
BEGIN
SET LOCAL work_mem = '7MB'
SHOW work_mem
COMMIT
SHOW work_mem

== set local rolled back
BEGIN
SELECT 1
SET LOCAL work_mem = '7MB'
ROLLBACK
SHOW work_mem

== set in a block that is kept
BEGIN
SET work_mem = '7MB'
COMMIT
SHOW work_mem

== set in a block that is not
BEGIN
SET work_mem = '7MB'
SELECT 1
ROLLBACK
SHOW work_mem

== set to nonsense in a block
BEGIN
SET work_mem = 'lots'
SHOW work_mem
ROLLBACK
SHOW work_mem

== set to nonsense in an open block
BEGIN
SELECT 1
SET work_mem = 'lots'
SHOW work_mem
COMMIT

== reported settings in a block
BEGIN
SET timezone = 'Asia/Tokyo'
SELECT 1
ROLLBACK

== reported settings in an empty block
BEGIN
SET timezone = 'Asia/Tokyo'
ROLLBACK
BEGIN
SET timezone = 'Asia/Tokyo'
COMMIT

== reported settings and savepoints
BEGIN
SAVEPOINT a
SET timezone = 'Asia/Tokyo'
ROLLBACK TO a
SHOW timezone
COMMIT

== settings and savepoints
BEGIN
SET work_mem = '7MB'
SAVEPOINT a
SET work_mem = '8MB'
SET LOCAL work_mem = '9MB'
SHOW work_mem
ROLLBACK TO a
SHOW work_mem
COMMIT
SHOW work_mem

== set local over set
BEGIN
SET work_mem = '7MB'
SET LOCAL work_mem = '8MB'
SHOW work_mem
COMMIT
SHOW work_mem

== set local under savepoint released
BEGIN
SELECT 1
SAVEPOINT a
SET LOCAL work_mem = '8MB'
RELEASE a
SHOW work_mem
COMMIT
SHOW work_mem

== set_config
SELECT set_config('work_mem', '7MB', false)
SHOW work_mem
SELECT set_config('work_mem', '8MB', true)
SHOW work_mem

== set_config local in a block
BEGIN
SELECT set_config('work_mem', '8MB', true)
SHOW work_mem
COMMIT
SHOW work_mem

== current_setting
SELECT current_setting('work_mem'), current_setting('nothing.here', true)
SET my.own = 'x'
SELECT current_setting('my.own')
SHOW my.own

== search_path
SET search_path = pg_catalog
SELECT count(*) FROM pg_namespace WHERE nspname = 'public'
SELECT * FROM coupons WHERE tenant_id = 'hooli'
RESET search_path
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== search_path in a block
BEGIN
SET LOCAL search_path TO pg_catalog, public
SHOW search_path
SELECT current_schemas(false)
COMMIT
SHOW search_path

== reset all
SET work_mem = '7MB'
SET my.own = 'x'
RESET ALL
SHOW work_mem

== reset all in a block
SET work_mem = '7MB'
BEGIN
RESET ALL
SHOW work_mem
ROLLBACK
SHOW work_mem

== set to default
SET work_mem = '7MB'
SET work_mem TO DEFAULT
SHOW work_mem

== discard all
SET work_mem = '7MB'
SET timezone = 'Asia/Tokyo'
DISCARD ALL
SHOW work_mem
SHOW timezone

== discard all in a block
BEGIN
DISCARD ALL
SELECT 1
ROLLBACK

== discard all in an open block
BEGIN
SELECT 1
DISCARD ALL
SELECT 1
ROLLBACK

== discard others
DISCARD PLANS
DISCARD SEQUENCES
DISCARD TEMP
DISCARD TEMPORARY

== deallocate
DEALLOCATE nothing
DEALLOCATE ALL
DEALLOCATE PREPARE nothing

== deallocate in a block
BEGIN
DEALLOCATE nothing
SELECT 1
ROLLBACK

# session state

== cursor
BEGIN
DECLARE c CURSOR FOR SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
FETCH 1 FROM c
FETCH ALL c
MOVE BACKWARD 1 FROM c
CLOSE c
FETCH c
COMMIT

== cursor outside
DECLARE c CURSOR FOR SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
FETCH 1 FROM c

== cursor with hold
DECLARE c CURSOR WITH HOLD FOR SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
FETCH 1 FROM c
FETCH 1 FROM c
CLOSE c

== scroll cursor
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 9) AS i
FETCH LAST FROM c
FETCH ABSOLUTE 3 FROM c
FETCH BACKWARD 2 FROM c
ROLLBACK
FETCH 1 FROM c

== temporary table
CREATE TEMP TABLE scratch (a int, b text)
INSERT INTO scratch VALUES (1, 'x'), (2, NULL)
SELECT * FROM scratch ORDER BY a
DROP TABLE scratch
SELECT * FROM scratch

== temporary table of a block
BEGIN
CREATE TEMP TABLE scratch (a int) ON COMMIT DROP
INSERT INTO scratch VALUES (1)
SELECT * FROM scratch
COMMIT
SELECT * FROM scratch

== advisory locks
SELECT pg_advisory_lock(4711)
SELECT pg_advisory_unlock(4711)
SELECT pg_advisory_unlock(4711)

== advisory lock of a block
BEGIN
SELECT pg_try_advisory_xact_lock(4712)
COMMIT

== listen and notify
LISTEN here
NOTIFY here, 'a word'
SELECT 1
UNLISTEN here
NOTIFY here
SELECT 2

== listen in a block
BEGIN
LISTEN here
NOTIFY here, 'x'
COMMIT
UNLISTEN *

== prepare and execute
PREPARE p AS SELECT $1::int + 1
EXECUTE p(41)
EXECUTE p(1, 2)
PREPARE p AS SELECT 1
DEALLOCATE p
EXECUTE p(1)

== role
SET ROLE app
SELECT current_user
RESET ROLE
SET ROLE nobody_here

# copy, simple

== copy out
COPY (SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code) TO STDOUT

== copy out csv
COPY (SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code) TO STDOUT (FORMAT csv, HEADER)

== copy out binary
COPY (SELECT 1::int4, 'x'::text) TO STDOUT (FORMAT binary)

== copy out that fails midway
COPY (SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i) TO STDOUT

== copy out of nothing
COPY (SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' AND false) TO STDOUT

== copy out in a block
BEGIN
COPY (SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code) TO STDOUT
COMMIT

== copy out among others
SELECT 1; COPY (SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code) TO STDOUT; SELECT 2

# the proxy's own settings, which a server takes as placeholders

== tenant of a transaction
BEGIN
SET LOCAL shardproxy.tenant = 'hooli'
SHOW shardproxy.tenant
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code
COMMIT

== begin behind set
SET work_mem = '7MB'; BEGIN; SET work_mem = '8MB'; ROLLBACK; SHOW work_mem
SHOW work_mem

== block with settings in one query
BEGIN; SET LOCAL work_mem = '8MB'; SHOW work_mem; COMMIT
SHOW work_mem

== block with settings in one query, undone
BEGIN; SET work_mem = '8MB'; ROLLBACK; SELECT 1
SHOW work_mem

== committed settings survive a later error
BEGIN; SET work_mem = '8MB'; COMMIT; SELECT 1/0
SHOW work_mem

== search_path of an undone block
BEGIN; SET search_path = pg_catalog; ROLLBACK
SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' ORDER BY code

== failed block ended in one query
BEGIN
SELEC
ROLLBACK; SELECT 1
BEGIN
SELEC
COMMIT; SHOW work_mem

== transaction characteristics behind a savepoint
BEGIN
SAVEPOINT a
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
ROLLBACK

== role is not reset by reset all
SET ROLE app
RESET ALL
SHOW role
RESET ROLE
SHOW role

== reset application_name in a block
BEGIN
SET application_name = 'other'
RESET application_name
SHOW application_name
SET LOCAL application_name TO DEFAULT
ROLLBACK
SHOW application_name

== reset of drivers
SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;
SHOW application_name
