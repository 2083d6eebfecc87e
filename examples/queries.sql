-- What the ledger says of itself. Amounts are in minor units (cents). Every view is documented in docs/postgres.md.
--
--   psql "$TWOFOLD_POSTGRES_DSN" -f examples/queries.sql

SET ROLE twofold_reader;

-- Balances: what is posted, and what is pending (still on its way out, or held).
SELECT account, balance, debits_pending, currency, status
FROM twofold.account_states
ORDER BY account;

-- The statement of an account, with the balance after each line: D a debit, C a credit.
SELECT time, kind, side, counterparty, amount, balance
FROM twofold.statement_lines
WHERE account = 'alice'
ORDER BY sequence;

-- The life of a transfer: PENDING at the payer, SETTLED at the payee, POSTED at the payer.
SELECT step, outcome, account, counterparty, amount, currency, reason
FROM twofold.transfer_events
WHERE transfer = (SELECT transfer FROM twofold.transfers WHERE payer = 'alice' ORDER BY decided LIMIT 1)
ORDER BY step, sequence;

-- Its entry, the proof: debits equal credits.
SELECT account, side, amount, currency
FROM twofold.entries JOIN twofold.postings USING (partition, sequence)
WHERE transfer = (SELECT transfer FROM twofold.transfers WHERE payer = 'alice' ORDER BY decided LIMIT 1)
ORDER BY line;

-- The trial balance of the whole ledger: in every currency debits equal credits, and nothing is in flight at rest.
SELECT currency, accounts, debits, credits, in_flight
FROM twofold.trial_balance;

-- The last word of the reconciliation agent, which compares journal, tables and Postgres all the time.
SELECT reported_at, verdict, breaks
FROM twofold.reconciliation_reports
ORDER BY id DESC LIMIT 1;
