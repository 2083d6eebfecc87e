-- What the reconciliation agent found. Outside the epochs: a rebuilt ledger does not rewrite what was reported.

CREATE TABLE reconciliation_reports (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch       integer     NOT NULL CHECK (epoch >= 1),
    verdict     text        NOT NULL CHECK (verdict IN ('BALANCED', 'BEHIND', 'BREAK')),
    breaks      integer     NOT NULL CHECK (breaks >= 0),
    report      jsonb       NOT NULL,
    CHECK ((verdict = 'BREAK') = (breaks > 0))
);

CREATE INDEX reconciliation_reports_of_breaks ON reconciliation_reports (reported_at) WHERE verdict = 'BREAK';

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % is refused, even to its owner', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Nothing is updated or deleted: a mistake is corrected by a new entry.';
END
$$;

COMMENT ON FUNCTION refuse_change IS 'Stops what privileges cannot: an UPDATE, DELETE or TRUNCATE by the owner.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_reports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- ALWAYS: not even session_replication_role = replica lets a change through.
ALTER TABLE reconciliation_reports ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT ON reconciliation_reports TO twofold_reader, twofold_reconciler;
GRANT INSERT ON reconciliation_reports TO twofold_reconciler;
