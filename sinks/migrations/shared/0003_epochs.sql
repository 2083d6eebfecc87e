-- A ledger schema is named by its epoch (ledger_1, ledger_2, ...); one epoch is live, and the views of the schema
-- twofold show it. A ledger rebuilt from the journal becomes live by go_live, in one transaction.

CREATE TABLE live_epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    integer NOT NULL CHECK (epoch >= 1)
);

GRANT SELECT ON live_epoch TO twofold_writer, twofold_reader, twofold_reconciler;

CREATE FUNCTION publish(epoch integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ledger text := 'ledger_' || epoch;
    shown  text;
BEGIN
    FOR shown IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = ledger::regnamespace AND c.relkind IN ('r', 'v') ORDER BY c.relname
    LOOP
        EXECUTE format('DROP VIEW IF EXISTS twofold.%I', shown);
        EXECUTE format('CREATE VIEW twofold.%I AS SELECT * FROM %I.%I', shown, ledger, shown);
        EXECUTE format('GRANT SELECT ON twofold.%I TO twofold_reader, twofold_reconciler', shown);
    END LOOP;
END
$$;

COMMENT ON FUNCTION publish IS 'Point the views of the schema twofold at one epoch''s tables and views.';

CREATE FUNCTION go_live(new_epoch integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    old_epoch integer;
    behind    record;
BEGIN
    SELECT l.epoch INTO old_epoch FROM twofold.live_epoch l FOR UPDATE;
    IF old_epoch IS NULL THEN
        INSERT INTO twofold.live_epoch (epoch) VALUES (new_epoch);
    ELSIF old_epoch <> new_epoch THEN
        -- The live sink waits for these rows, then finds another epoch in them and stops.
        EXECUTE format('SELECT 1 FROM %I.sink_positions ORDER BY partition FOR UPDATE', 'ledger_' || old_epoch);
        EXECUTE format(
            'SELECT o.partition, o.sequence AS live, coalesce(n.sequence, 0) AS rebuilt
             FROM %I.sink_positions o LEFT JOIN %I.sink_positions n USING (partition)
             WHERE coalesce(n.sequence, 0) < o.sequence ORDER BY o.partition LIMIT 1',
            'ledger_' || old_epoch, 'ledger_' || new_epoch) INTO behind;
        IF behind.partition IS NOT NULL THEN
            RAISE EXCEPTION 'epoch % is behind the live one: partition % is at %, the live one at %',
                new_epoch, behind.partition, behind.rebuilt, behind.live
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('Let a sink with TWOFOLD_SINK_EPOCH=%s catch up, then try again.', new_epoch);
        END IF;
        EXECUTE format('UPDATE %I.sink_positions SET epoch = $1', 'ledger_' || old_epoch) USING new_epoch;
        UPDATE twofold.live_epoch SET epoch = new_epoch;
    END IF;
    PERFORM twofold.publish(new_epoch);
END
$$;

COMMENT ON FUNCTION go_live IS 'Make an epoch the live one. Refused while it is behind; fences the old epoch''s sinks.';

REVOKE ALL ON FUNCTION publish, go_live FROM PUBLIC;
