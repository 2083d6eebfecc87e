-- Who may do what, table by table. What is not here is denied (42501).

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO twofold_writer, twofold_reader, twofold_reconciler', current_schema());
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO twofold_reader, twofold_reconciler', current_schema());
END
$$;

GRANT INSERT ON accounts, entries, postings, transfer_events TO twofold_writer;
GRANT SELECT, INSERT, UPDATE ON account_balances, sink_positions TO twofold_writer;

REVOKE ALL ON FUNCTION postings_balance, positions_only_advance FROM PUBLIC;
