-- What no privilege can say. All triggers are ENABLE ALWAYS: session_replication_role does not switch them off.

-- An entry's postings come in one statement, so the statement's own rows are the whole entry: a lone debit is refused
-- at once, and so is a line that is added to an entry later. SECURITY DEFINER: the writer cannot read entries. The plan
-- is made for each statement and goes through the primary key: one made while entries was small would scan it for ever.
CREATE FUNCTION postings_balance() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.partition, a.sequence, a.currency,
           coalesce(sum(a.amount) FILTER (WHERE a.side = 'D'), 0) AS debits,
           coalesce(sum(a.amount) FILTER (WHERE a.side = 'C'), 0) AS credits
    INTO wrong
    FROM added a
    GROUP BY a.partition, a.sequence, a.currency
    HAVING sum(CASE a.side WHEN 'D' THEN a.amount ELSE -a.amount END) <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry (%, %) does not balance in %: debits %, credits %',
            wrong.partition, wrong.sequence, wrong.currency, wrong.debits, wrong.credits
            USING ERRCODE = 'check_violation', HINT = 'All postings of an entry are added in one statement.';
    END IF;
    SELECT a.partition, a.sequence INTO wrong
    FROM added a
    WHERE NOT EXISTS (SELECT FROM entries e WHERE e.partition = a.partition AND e.sequence = a.sequence)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'postings of (%, %), which is no entry', wrong.partition, wrong.sequence
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION postings_balance IS 'Debits equal credits in every entry and currency of the statement.';

CREATE TRIGGER balanced AFTER INSERT ON postings REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION postings_balance();
ALTER TABLE postings ENABLE ALWAYS TRIGGER balanced;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION twofold.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION twofold.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION twofold.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer_events
    FOR EACH STATEMENT EXECUTE FUNCTION twofold.refuse_change();
ALTER TABLE accounts ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE entries ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE postings ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE transfer_events ENABLE ALWAYS TRIGGER append_only;

CREATE FUNCTION positions_only_advance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.partition <> OLD.partition OR NEW.sequence < OLD.sequence OR NEW.kafka_offset < OLD.kafka_offset
       OR NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'the position of partition % would go back from % to %',
            OLD.partition, OLD.sequence, NEW.sequence USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER only_advance BEFORE UPDATE ON sink_positions
    FOR EACH ROW EXECUTE FUNCTION positions_only_advance();
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON sink_positions
    FOR EACH STATEMENT EXECUTE FUNCTION twofold.refuse_change();
ALTER TABLE sink_positions ENABLE ALWAYS TRIGGER only_advance;
ALTER TABLE sink_positions ENABLE ALWAYS TRIGGER stays;
