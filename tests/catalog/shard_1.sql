-- Every shard of an installation of version 1. {class_epoch} and {class_guard} are the classes of our advisory locks.

CREATE SCHEMA shardproxy;
GRANT USAGE ON SCHEMA shardproxy TO PUBLIC;  -- of what is in it, only guard() is everybody's

-- One row. A connection may be in an epoch from oldest_epoch (older ones are retired) to newest_epoch (a replica that
-- has not replayed what an epoch stands on has not heard of it).
CREATE TABLE shardproxy.shard (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation uuid NOT NULL,
    name         text NOT NULL,
    oldest_epoch integer NOT NULL,
    newest_epoch integer NOT NULL,
    CHECK (oldest_epoch <= newest_epoch)
);

-- The moves from this shard, as long as a transaction of an epoch that knows them may run here.
-- moving: this shard owns the rows. fenced: nobody does, a cut-over is under way. moved: the target does.
CREATE TABLE shardproxy.moving (
    move   bigint PRIMARY KEY,
    state  text NOT NULL CHECK (state IN ('moving', 'fenced', 'moved')),
    target text NOT NULL,
    epoch  integer  -- of the map that says "moved"
);

-- Rows that go through the stream of a move behind its changes: when a mark is on the target, so are they.
CREATE TABLE shardproxy.marker (
    move bigint NOT NULL,
    mark uuid NOT NULL,
    PRIMARY KEY (move, mark)
);

-- A server connection enters an epoch: from now on, until it leaves, the epoch cannot be retired. The lock comes first
-- and the row is looked at afterwards (each statement of a volatile function has its own snapshot), so either we see
-- that the epoch was retired, or whoever retires it sees our lock. Epoch 0 is for connections that touch no rows of
-- users: they hold nothing up. SP002: the epoch is retired here; SP003: not known here yet; SP004: this is not the
-- shard (installation/name) that the connection is meant for.
CREATE FUNCTION shardproxy.enter(entering integer, leaving integer, here text DEFAULT NULL) RETURNS void
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
CREATE PROCEDURE shardproxy.guard(guarded bigint)
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
CREATE FUNCTION shardproxy.hold(held bigint) RETURNS void
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

CREATE FUNCTION shardproxy.let_go(held bigint) RETURNS boolean
LANGUAGE sql
RETURN pg_catalog.pg_advisory_unlock_shared({class_guard}, held::pg_catalog.int4);
