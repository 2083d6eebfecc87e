-- Three roles, for the whole server. None can log in: grant them to login users of your own, for example
--   CREATE ROLE sink LOGIN PASSWORD '...' IN ROLE twofold_writer;
-- Roles outlive a database, so another database of this server may have made them already.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['twofold_writer', 'twofold_reader', 'twofold_reconciler'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made by another database of this server, perhaps this very moment
        END;
    END LOOP;
END
$$;

COMMENT ON ROLE twofold_writer IS 'Twofold''s sink: adds to the ledger, changes nothing in it.';
COMMENT ON ROLE twofold_reader IS 'Reads the ledger: people, reports, the command line.';
COMMENT ON ROLE twofold_reconciler IS 'Twofold''s reconciliation agent: reads the ledger, adds reports.';

GRANT USAGE ON SCHEMA twofold TO twofold_writer, twofold_reader, twofold_reconciler;
