-- What every shard's fence can do. {class_epoch} and {class_guard} are the classes of our advisory locks.

-- A server connection enters an epoch: from now on, until it leaves, the epoch cannot be retired. The lock comes first
-- and the row is looked at afterwards (each statement of a volatile function has its own snapshot), so either we see
-- that the epoch was retired, or whoever retires it sees our lock. Epoch 0 is for connections that touch no rows of
-- users: they hold nothing up. SP002: the epoch is retired here; SP003: not known here yet; SP004: this is not the
-- shard (installation/name) that the connection is meant for.
CREATE OR REPLACE FUNCTION shardproxy.enter(entering integer, leaving integer, here text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known shardproxy.shard;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE invalid_transaction_state USING MESSAGE = 'an epoch is entered under READ COMMITTED';
    END IF;
    IF entering IS DISTINCT FROM leaving THEN
        PERFORM pg_advisory_lock_shared({class_epoch}, entering);
    END IF;
    SELECT * INTO known FROM shardproxy.shard;
    IF here <> known.installation || '/' || known.name THEN
        PERFORM pg_advisory_unlock_shared({class_epoch}, entering);
        RAISE SQLSTATE 'SP004' USING
            MESSAGE = format('this server is shard "%s" of installation %s', known.name, known.installation);
    END IF;
    IF entering <> 0 AND (known.oldest_epoch IS NULL OR known.oldest_epoch > entering) THEN
        PERFORM pg_advisory_unlock_shared({class_epoch}, entering);
        RAISE SQLSTATE 'SP002' USING
            MESSAGE = format('epoch %s is retired on this shard', entering),
            DETAIL = format('The oldest that may run here is %s.', known.oldest_epoch);
    END IF;
    IF known.newest_epoch < entering THEN
        PERFORM pg_advisory_unlock_shared({class_epoch}, entering);
        RAISE SQLSTATE 'SP003' USING
            MESSAGE = format('epoch %s is not known on this server yet', entering),
            DETAIL = format('The newest that is known here is %s.', known.newest_epoch);
    END IF;
    IF leaving IS NOT NULL AND entering IS DISTINCT FROM leaving THEN
        PERFORM pg_advisory_unlock_shared({class_epoch}, leaving);
    END IF;
END $$;
REVOKE ALL ON FUNCTION shardproxy.enter FROM PUBLIC;

-- Leads every transaction on rows that are moving from here. The shared lock lasts to the end of the transaction;
-- the cut-over sets the state, then takes the lock for itself, and so has waited for everybody who saw the old one.
-- The lock comes first and the row is looked at afterwards, with a newer snapshot, or, where the transaction has one
-- snapshot for all its statements, FOR SHARE, which fails (40001) if the row has changed since. A READ ONLY transaction
-- with one snapshot is right as of that snapshot. SP001: the rows are not, or soon not, here any more.
-- It runs with its owner's rights under the caller's search_path (to set one costs more than all the rest), so every
-- name and operator in it is qualified; IS DISTINCT FROM cannot be, and is not used.
CREATE OR REPLACE PROCEDURE shardproxy.guard(guarded bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known shardproxy.moving;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared({class_guard}, guarded::pg_catalog.int4);
    IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) ANY ('{{read committed,read uncommitted}}')
       OR pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' THEN
        SELECT * INTO known FROM shardproxy.moving WHERE move OPERATOR(pg_catalog.=) guarded;
    ELSE
        SELECT * INTO known FROM shardproxy.moving WHERE move OPERATOR(pg_catalog.=) guarded FOR SHARE;
    END IF;
    IF known.state IS NULL OR known.state OPERATOR(pg_catalog.<>) 'moving' THEN
        RAISE SQLSTATE 'SP001' USING
            MESSAGE = pg_catalog.format('move %s: the rows are not here', guarded),
            DETAIL = pg_catalog.concat_ws(' ', COALESCE(known.state, 'unknown'), known.target, known.epoch);
    END IF;
END $$;

-- The same for a whole transaction that is about to begin on this connection, or is open: the lock lasts until
-- let_go(). Outside a transaction it is called under READ COMMITTED, so that it looks at the row after it has the lock.
CREATE OR REPLACE FUNCTION shardproxy.hold(held bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known shardproxy.moving;
BEGIN
    PERFORM pg_advisory_lock_shared({class_guard}, held::int4);
    IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')
       OR current_setting('transaction_read_only') = 'on' THEN
        SELECT * INTO known FROM shardproxy.moving WHERE move = held;
    ELSE
        SELECT * INTO known FROM shardproxy.moving WHERE move = held FOR SHARE;
    END IF;
    IF known.state IS DISTINCT FROM 'moving' THEN
        PERFORM pg_advisory_unlock_shared({class_guard}, held::int4);
        RAISE SQLSTATE 'SP001' USING
            MESSAGE = format('move %s: the rows are not here', held),
            DETAIL = concat_ws(' ', COALESCE(known.state, 'unknown'), known.target, known.epoch);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION shardproxy.let_go(held bigint) RETURNS boolean
LANGUAGE sql
RETURN pg_catalog.pg_advisory_unlock_shared({class_guard}, held::pg_catalog.int4);

-- What stands on the tables of a move (rebalance/table_fence.py), for those who come past the sidecars. A trigger FOR
-- EACH ROW on the rows that move, with the move's number as its argument: as guard() does, it holds the cut-over up to
-- the end of the transaction, and looks whether the rows are still here. It is an AFTER trigger: it sees the row as it
-- is stored, whatever other triggers made of it, and COPY of other rows stays fast. Where the transaction has one
-- snapshot for all and the snapshot does not know of the move, nothing can be told, so it fails.
CREATE OR REPLACE FUNCTION shardproxy.written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    guarded CONSTANT pg_catalog.int8 := TG_ARGV[0]::pg_catalog.int8;
    known shardproxy.moving;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared({class_guard}, guarded::pg_catalog.int4);
    IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) ANY ('{{read committed,read uncommitted}}') THEN
        SELECT * INTO known FROM shardproxy.moving WHERE move OPERATOR(pg_catalog.=) guarded;
    ELSE
        SELECT * INTO known FROM shardproxy.moving WHERE move OPERATOR(pg_catalog.=) guarded FOR SHARE;
        IF NOT FOUND THEN
            RAISE serialization_failure USING
                MESSAGE = pg_catalog.format('move %s: the rows began to move after this transaction', guarded);
        END IF;
    END IF;
    IF known.state OPERATOR(pg_catalog.<>) 'moving' THEN
        RAISE SQLSTATE 'SP001' USING
            MESSAGE = pg_catalog.format('move %s: the rows are not here', guarded),
            DETAIL = pg_catalog.concat_ws(' ', known.state, known.target, known.epoch),
            HINT = 'Connect through the sidecar.';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION shardproxy.written FROM PUBLIC;

-- A trigger FOR EACH STATEMENT: TRUNCATE would empty the table of everybody, and logical replication does not tell whom.
CREATE OR REPLACE FUNCTION shardproxy.truncated() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE object_in_use USING
        MESSAGE = pg_catalog.format('table "%s" is moving; abort the move first', TG_TABLE_NAME),
        DETAIL = pg_catalog.format('Rows of it are on their way to another shard in move %s.', TG_ARGV[0]),
        HINT = pg_catalog.format('shardproxy moves abort %s undoes it; or wait for its end.', TG_ARGV[0]);
END $$;
REVOKE ALL ON FUNCTION shardproxy.truncated FROM PUBLIC;
