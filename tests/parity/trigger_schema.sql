-- What servers do unasked: harmless, and each way to change a key or to reach other tenants. {name} has the table {name},
-- and where its trigger has that name too, the function is fired.{name}.
CREATE EXTENSION hstore;
CREATE EXTENSION moddatetime;
CREATE EXTENSION autoinc;
CREATE SCHEMA fired AUTHORIZATION app;
GRANT USAGE ON SCHEMA fired TO app;

CREATE FUNCTION fired.make(name text, body text, events text DEFAULT 'BEFORE INSERT OR UPDATE') RETURNS void
LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('CREATE TABLE fired.%I (tenant_id text NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id))', name);
    EXECUTE format('ALTER TABLE fired.%I OWNER TO app', name);
    IF body IS NOT NULL THEN
        EXECUTE format('CREATE FUNCTION fired.%I() RETURNS trigger LANGUAGE plpgsql AS %L', name, body);
        EXECUTE format('CREATE TRIGGER fire %s ON fired.%I FOR EACH ROW EXECUTE FUNCTION fired.%I()', events, name, name);
    END IF;
END $$;

-- harmless
SELECT fired.make('history', NULL);
ALTER TABLE fired.history ADD op text;
SELECT fired.make('stamped', $$ BEGIN NEW.note := upper(NEW.note); IF NEW.id IS DISTINCT FROM OLD.id THEN NEW.id := NEW.id; END IF; RETURN NEW; END $$);
SELECT fired.make('guarded', $$ BEGIN
    IF NEW.note = 'bad' THEN RAISE check_violation USING MESSAGE = format('%s is bad', NEW.tenant_id); END IF;
    IF NEW.note = 'skip' THEN RETURN NULL; END IF;
    RETURN COALESCE(NEW, OLD); END $$);
SELECT fired.make('recorded', $$ BEGIN
    IF TG_OP = 'DELETE' THEN INSERT INTO fired.history VALUES (OLD.*, TG_OP); RETURN OLD; END IF;
    INSERT INTO fired.history (tenant_id, id, note, op) VALUES (NEW.tenant_id, NEW.id + 100, NEW.note, TG_OP)
        ON CONFLICT (tenant_id, id) DO UPDATE SET note = excluded.note || '!';
    UPDATE fired.history SET op = lower(op) WHERE tenant_id = NEW.tenant_id AND id = NEW.id + 100;
    RETURN NULL; END $$, 'AFTER INSERT OR UPDATE OR DELETE');
SELECT fired.make('numbered', $$ BEGIN
    SELECT coalesce(max(t.id), 0) + 1 INTO NEW.id FROM fired.numbered t WHERE t.tenant_id = NEW.tenant_id;
    RETURN NEW; END $$, 'BEFORE INSERT');
SELECT fired.make('parents', NULL);
CREATE TABLE fired.children (tenant_id text NOT NULL, id int, parent int, PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent) REFERENCES fired.parents ON DELETE CASCADE ON UPDATE CASCADE);
ALTER TABLE fired.children OWNER TO app;
CREATE FUNCTION fired.children() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO fired.history VALUES (OLD.tenant_id, OLD.id + 1000, 'gone'); RETURN OLD; END $$;
CREATE TRIGGER fire AFTER DELETE ON fired.children FOR EACH ROW EXECUTE FUNCTION fired.children();

-- they change the key
SELECT fired.make('assigned', $$ BEGIN NEW.tenant_id := 'globex'; RETURN NEW; END $$);
SELECT fired.make('updated', $$ BEGIN NEW.tenant_id := 'globex'; RETURN NEW; END $$, 'BEFORE UPDATE');
SELECT fired.make('selected', $$ BEGIN SELECT 'globex' INTO NEW.tenant_id; RETURN NEW; END $$);
SELECT fired.make('whole', $$ BEGIN NEW := ROW('globex', NEW.id, NEW.note)::fired.whole; RETURN NEW; END $$);
SELECT fired.make('merged', $$ BEGIN NEW := NEW OPERATOR(public.#=) public.hstore('tenant_id', 'globex'); RETURN NEW; END $$);
SELECT fired.make('populated', $$ BEGIN NEW := jsonb_populate_record(NEW, '{"tenant_id": "globex"}'); RETURN NEW; END $$);
SELECT fired.make('returned', $$ DECLARE r fired.returned; BEGIN r := NEW; r.tenant_id := 'globex'; RETURN r; END $$);
SELECT fired.make('aliased', $$ DECLARE n ALIAS FOR new; BEGIN n.tenant_id := 'globex'; RETURN NEW; END $$);
SELECT fired.make('qualified', $$ BEGIN qualified.NEW.tenant_id := 'globex'; RETURN NEW; END $$);
SELECT fired.make('shadowed', $$ DECLARE new fired.shadowed := ROW('globex', 5, 'x'); BEGIN RETURN new; END $$);
SELECT fired.make('executed', $$ BEGIN EXECUTE 'SELECT $1' INTO NEW.tenant_id USING 'globex'::text; RETURN NEW; END $$);
SELECT fired.make('looped', $$ BEGIN FOR NEW.tenant_id IN SELECT 'globex' LOOP NULL; END LOOP; RETURN NEW; END $$);
SELECT fired.make('diagnosed', $$ BEGIN PERFORM 1; GET DIAGNOSTICS NEW.tenant_id = ROW_COUNT; RETURN NEW; END $$);
SELECT fired.make('called', $$ BEGIN CALL fired.into_globex(NEW.tenant_id); RETURN NEW; END $$);
CREATE PROCEDURE fired.into_globex(INOUT k text) LANGUAGE plpgsql AS $$ BEGIN k := 'globex'; END $$;
SELECT fired.make('foreign', NULL);
CREATE TRIGGER fire BEFORE INSERT ON fired."foreign" FOR EACH ROW EXECUTE FUNCTION autoinc('id', 'fired.numbers');
CREATE SEQUENCE fired.numbers OWNED BY NONE;
ALTER SEQUENCE fired.numbers OWNER TO app;
CREATE TABLE fired.split (tenant_id text NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);
CREATE TABLE fired.split_1 PARTITION OF fired.split FOR VALUES FROM (0) TO (10);
ALTER TABLE fired.split OWNER TO app;
ALTER TABLE fired.split_1 OWNER TO app;
CREATE TRIGGER fire BEFORE INSERT ON fired.split_1 FOR EACH ROW EXECUTE FUNCTION fired.assigned();
SELECT fired.make('unset', NULL);
CREATE TABLE fired.unset_children (tenant_id text, id int, parent int,
    FOREIGN KEY (tenant_id, parent) REFERENCES fired.unset ON DELETE SET NULL);
ALTER TABLE fired.unset_children OWNER TO app;
SELECT fired.make('nested', $$ BEGIN INSERT INTO fired.assigned VALUES (NEW.tenant_id, NEW.id); RETURN NEW; END $$);

-- they read or write rows of other tenants
CREATE FUNCTION fired.count_all() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION fired.is_many(anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT count(*) > 20 FROM public.orders';
SELECT fired.make('counted', $$ BEGIN NEW.note := (SELECT count(*) FROM public.orders); RETURN NEW; END $$);
SELECT fired.make('calling', $$ BEGIN NEW.note := fired.count_all(); RETURN NEW; END $$);
SELECT fired.make('dynamic', $$ BEGIN EXECUTE 'DELETE FROM fired.history WHERE note = ''x'''; RETURN NEW; END $$, 'AFTER INSERT');
SELECT fired.make('spreading', $$ BEGIN UPDATE fired.history SET note = 'seen' WHERE id = NEW.id; RETURN NULL; END $$, 'AFTER INSERT');
SELECT fired.make('copying', $$ BEGIN INSERT INTO fired.history SELECT 'globex', NEW.id, 'copied'; RETURN NULL; END $$, 'AFTER INSERT');
SELECT fired.make('notifying', $$ BEGIN PERFORM pg_notify('c', NEW.tenant_id); RETURN NULL; END $$, 'AFTER INSERT');
CREATE TABLE fired.whole_statement (tenant_id text NOT NULL, id int NOT NULL, note text);
ALTER TABLE fired.whole_statement OWNER TO app;
CREATE FUNCTION fired.whole_statement() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE fired.history SET note = (SELECT count(*) FROM public.orders); RETURN NULL; END $$;
CREATE TRIGGER fire AFTER INSERT ON fired.whole_statement EXECUTE FUNCTION fired.whole_statement();
SELECT fired.make('defaulted', NULL);
ALTER TABLE fired.defaulted ALTER note SET DEFAULT fired.count_all()::text;
SELECT fired.make('checked', NULL);
ALTER TABLE fired.checked ADD CHECK (fired.is_many(id));
CREATE DOMAIN fired.many AS text CHECK (fired.is_many(VALUE));
SELECT fired.make('domained', NULL);
ALTER TABLE fired.domained ALTER note TYPE fired.many;
SELECT fired.make('conditional', $$ BEGIN RETURN NULL; END $$, 'AFTER DELETE');
CREATE TRIGGER asks AFTER INSERT ON fired.conditional FOR EACH ROW WHEN (fired.is_many(NEW.id))
    EXECUTE FUNCTION fired.stamped();
SELECT fired.make('operated', NULL);
CREATE FUNCTION fired.more(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT count(*) > $1 + $2 FROM public.orders';
CREATE OPERATOR fired.<?> (FUNCTION = fired.more, LEFTARG = int, RIGHTARG = int);
ALTER TABLE fired.operated ADD CHECK (id OPERATOR(fired.<?>) 1);
SELECT fired.make('policed', NULL);
CREATE POLICY visible ON fired.policed USING (fired.is_many(id));
ALTER TABLE fired.policed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT fired.make('cascading', NULL);
CREATE TABLE fired.cascading_children (tenant_id text NOT NULL, id int, parent int,
    FOREIGN KEY (tenant_id, parent) REFERENCES fired.cascading ON DELETE CASCADE);
ALTER TABLE fired.cascading_children OWNER TO app;
CREATE TRIGGER fire BEFORE DELETE ON fired.cascading_children FOR EACH ROW EXECUTE FUNCTION fired.dynamic();

-- an operator knows better
SELECT fired.make('declared', $$ BEGIN
    EXECUTE 'UPDATE fired.history SET note = $2 WHERE tenant_id = $1' USING NEW.tenant_id, 'declared';
    NEW := jsonb_populate_record(NEW, '{"note": "declared"}');
    RETURN NEW; END $$);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA fired TO app;
