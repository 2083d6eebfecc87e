-- What people query. Every view reads this epoch's tables; the schema twofold shows those of the live epoch.

-- What each record changed in its account's figures. The single SQL statement of this rule; the sink and the ledger
-- compute it on their own, and all three are compared.
CREATE VIEW movements AS
SELECT partition, sequence, time, account, currency, kind, outcome, transfer,
       CASE
           WHEN debits_pending IS NULL OR amount IS NULL THEN 0
           WHEN outcome = 'PENDING' OR (outcome = 'APPLIED' AND kind = 'HOLD') THEN amount
           WHEN outcome IN ('POSTED', 'COMPENSATED', 'EXPIRED') OR (outcome = 'APPLIED' AND kind = 'RELEASE')
               THEN -amount
           ELSE 0
       END AS debits_pending,
       CASE WHEN outcome = 'POSTED' THEN amount ELSE 0 END AS debits_posted,
       CASE WHEN outcome = 'SETTLED' THEN amount ELSE 0 END AS credits_posted
FROM transfer_events
WHERE debits_pending IS NOT NULL;

COMMENT ON VIEW movements IS 'The change of an account''s figures by each record that changed them.';

CREATE VIEW derived_balances AS
SELECT account, partition,
       sum(debits_pending) AS debits_pending,
       sum(debits_posted)  AS debits_posted,
       sum(credits_posted) AS credits_posted,
       max(sequence)       AS version
FROM movements
GROUP BY account, partition;

COMMENT ON VIEW derived_balances IS
    'The figures of each account summed anew from transfer_events, never from postings: equals account_balances.';

CREATE VIEW statement_lines AS
SELECT account, partition, sequence, time, transfer, kind,
       CASE outcome WHEN 'POSTED' THEN 'D' ELSE 'C' END AS side,
       counterparty, amount, currency,
       CASE outcome WHEN 'POSTED' THEN -amount ELSE amount END AS change,
       credits_posted - debits_posted AS balance
FROM transfer_events
WHERE outcome IN ('POSTED', 'SETTLED') AND debits_pending IS NOT NULL;

COMMENT ON VIEW statement_lines IS
    'An account''s statement in its own sequence: a payer''s line is its POSTED record, a payee''s its SETTLED one.';
COMMENT ON COLUMN statement_lines.balance IS 'credits_posted - debits_posted after this line.';

-- One row for each occurrence of a transfer (an id may come back once its idempotency window has passed), found by the
-- input record that asked for it: a parked intent is decided again with the same input. What took no idempotency
-- key (duplicates, keys used for something else, misrouted records) is no transfer; see transfer_events for those.
CREATE VIEW transfers AS
SELECT asked.transfer, asked.kind,
       coalesce(ended.outcome, reached.outcome, asked.outcome) AS state,
       coalesce(ended.reason, reached.reason, asked.reason) AS reason,
       asked.account AS payer, asked.counterparty AS payee, asked.amount, asked.currency,
       asked.partition AS payer_partition, asked.sequence AS decided, asked.time AS decided_at,
       reached.partition AS payee_partition, reached.sequence AS settled, reached.time AS settled_at,
       ended.sequence AS ended, ended.time AS ended_at,
       asked.origin, asked.origin_pending, asked.input_partition, asked.input_offset
FROM (
    SELECT DISTINCT ON (transfer, input_partition, input_offset) *
    FROM transfer_events
    WHERE step = 1 AND kind IN ('TRANSFER', 'CAPTURE', 'REVERSE') AND outcome IN ('PENDING', 'REJECTED', 'PARKED')
      AND transfer IS NOT NULL
      AND (reason IS NULL OR NOT (reason = 'misrouted' OR starts_with(reason, 'exists_')))
    ORDER BY transfer, input_partition, input_offset, sequence DESC
) asked
LEFT JOIN transfer_events reached
    ON asked.outcome = 'PENDING' AND reached.transfer = asked.transfer AND reached.pending = asked.sequence
       AND reached.outcome IN ('SETTLED', 'REFUSED') AND reached.step = 2
LEFT JOIN transfer_events ended
    ON asked.outcome = 'PENDING' AND ended.transfer = asked.transfer AND ended.pending = asked.sequence
       AND ended.outcome IN ('POSTED', 'COMPENSATED');

COMMENT ON VIEW transfers IS 'Each transfer, capture and reversal with its latest state.';
COMMENT ON COLUMN transfers.state IS
    'PARKED, PENDING, then SETTLED or REFUSED at the payee, and the final POSTED, COMPENSATED or REJECTED.';

CREATE VIEW account_states AS
SELECT b.account, b.currency, b.debits_pending, b.debits_posted, b.credits_posted,
       b.credits_posted - b.debits_posted AS balance, b.version, b.partition,
       coalesce(changed.status, 'OPEN') AS status
FROM account_balances b
LEFT JOIN LATERAL (
    SELECT CASE e.kind WHEN 'FREEZE' THEN 'FROZEN' WHEN 'CLOSE' THEN 'CLOSED' ELSE 'OPEN' END AS status
    FROM transfer_events e
    WHERE e.account = b.account
      AND e.outcome = 'APPLIED' AND e.kind IN ('FREEZE', 'UNFREEZE', 'CLOSE')
    ORDER BY e.sequence DESC LIMIT 1
) changed ON true;

COMMENT ON VIEW account_states IS 'account_balances with the balance and the status (OPEN, FROZEN, CLOSED).';

CREATE VIEW trial_balance AS
SELECT currency,
       coalesce(posted.debits, 0)          AS debits,
       coalesce(posted.credits, 0)         AS credits,
       figures.accounts, figures.debits_pending, figures.debits_posted, figures.credits_posted,
       figures.credits_posted - figures.debits_posted AS in_flight
FROM (
    SELECT currency, count(*) AS accounts, sum(debits_pending) AS debits_pending,
           sum(debits_posted) AS debits_posted, sum(credits_posted) AS credits_posted
    FROM account_balances GROUP BY currency
) figures
FULL JOIN (
    SELECT currency, sum(amount) FILTER (WHERE side = 'D') AS debits, sum(amount) FILTER (WHERE side = 'C') AS credits
    FROM postings GROUP BY currency
) posted USING (currency);

COMMENT ON VIEW trial_balance IS 'Per currency: postings'' debits and credits (always equal), and the accounts'' figures.';
COMMENT ON COLUMN trial_balance.in_flight IS
    'Credited to payees and not yet posted at payers: the transfers that are SETTLED and not POSTED; 0 at rest.';
