-- The tables of one epoch. Run with the epoch's schema first in search_path; names are unqualified on purpose.
--
-- Money is in minor units (bigint) of an ISO 4217 currency. "partition" and "sequence" are those of the journal record
-- that a row comes from: sequence is contiguous from 1 in each partition. "time" is the partition's time. accounts,
-- entries, postings and transfer_events are append-only.

CREATE TABLE accounts (
    id        text        PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._:-]{1,64}$'),
    partition integer     NOT NULL CHECK (partition >= 0),
    opened    bigint      NOT NULL CHECK (opened >= 1),
    currency  text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    tenant    text        NOT NULL,
    owner     text        NOT NULL,
    name      text        NOT NULL,
    type      text        NOT NULL,
    metadata  jsonb       NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
    opened_at timestamptz NOT NULL,
    UNIQUE (partition, opened)
);

COMMENT ON TABLE accounts IS 'What an account was opened as. Append-only.';
COMMENT ON COLUMN accounts.opened IS 'Journal sequence of the record that opened it.';

CREATE TABLE entries (
    partition integer     NOT NULL CHECK (partition >= 0),
    sequence  bigint      NOT NULL CHECK (sequence >= 1),
    transfer  uuid        NOT NULL,
    kind      text        NOT NULL CHECK (kind IN ('TRANSFER', 'CAPTURE', 'REVERSE')),
    time      timestamptz NOT NULL,
    PRIMARY KEY (partition, sequence)
);

COMMENT ON TABLE entries IS 'One balanced journal entry for each SETTLED record. Append-only.';

CREATE TABLE postings (
    partition integer  NOT NULL,
    sequence  bigint   NOT NULL,
    line      smallint NOT NULL CHECK (line >= 0),
    account   text     NOT NULL,
    side      char(1)  NOT NULL CHECK (side IN ('D', 'C')),
    amount    bigint   NOT NULL CHECK (amount > 0),
    currency  text     NOT NULL CHECK (length(currency) = 3),
    PRIMARY KEY (partition, sequence, line)
);

COMMENT ON TABLE postings IS
    'The lines of the entries: debits equal credits in every entry and currency (trigger). Append-only. '
    'The DEBIT line is the proof of a debit; it counts in the payer''s own figures from its POSTED record on.';
COMMENT ON COLUMN postings.side IS 'D a debit, C a credit.';

CREATE TABLE transfer_events (
    partition         integer     NOT NULL CHECK (partition >= 0),
    sequence          bigint      NOT NULL CHECK (sequence >= 1),
    time              timestamptz NOT NULL,
    rules             integer     NOT NULL,
    kind              text        NOT NULL CHECK (kind IN (
        'OPEN', 'SET_LIMITS', 'FREEZE', 'UNFREEZE', 'CLOSE', 'TRANSFER', 'HOLD', 'CAPTURE', 'RELEASE', 'REVERSE',
        'CONFIGURE', 'RESOLVE', 'TICK', 'UNREADABLE')),
    outcome           text        NOT NULL CHECK (outcome IN (
        'PENDING', 'SETTLED', 'REFUSED', 'POSTED', 'COMPENSATED', 'REJECTED', 'APPLIED', 'DUPLICATE', 'PARKED',
        'DEAD_LETTERED', 'EXPIRED', 'TICKED')),
    step              smallint    NOT NULL CHECK (step BETWEEN 0 AND 3),
    transfer          uuid,
    pending           bigint      NOT NULL CHECK (pending >= 0),
    account           text,
    counterparty      text,
    amount            bigint,
    currency          text,
    reason            text,
    debits_pending    bigint      CHECK (debits_pending >= 0),
    debits_posted     bigint      CHECK (debits_posted >= 0),
    credits_posted    bigint      CHECK (credits_posted >= 0),
    origin            uuid,
    origin_pending    bigint      NOT NULL CHECK (origin_pending >= 0),
    input_topic       text        NOT NULL CHECK (input_topic IN ('INTENTS', 'LEGS')),
    input_partition   integer     NOT NULL,
    input_offset      bigint      NOT NULL,
    input_leg         integer     NOT NULL,
    trigger_topic     text        NOT NULL CHECK (trigger_topic IN ('INTENTS', 'LEGS')),
    trigger_partition integer     NOT NULL,
    trigger_offset    bigint      NOT NULL,
    trigger_leg       integer     NOT NULL,
    ordinal           integer     NOT NULL CHECK (ordinal >= 0),
    PRIMARY KEY (partition, sequence),
    CHECK (num_nulls(debits_pending, debits_posted, credits_posted) IN (0, 3)),
    -- A refused or parked intent is recorded as it was asked for, whatever its amount; money that moves is positive.
    -- (0: what a hold had open when it expired or was released.)
    CHECK (debits_pending IS NULL OR (account IS NOT NULL AND (amount IS NULL OR amount >= 0)))
);

COMMENT ON TABLE transfer_events IS 'One row for every journal record: each decision of the ledger. Append-only.';
COMMENT ON COLUMN transfer_events.account IS
    'The account of this partition. A refused id that is not valid is shown cut to 64 characters, NUL as U+2400.';
COMMENT ON COLUMN transfer_events.pending IS
    'Journal sequence, in the payer''s partition, of the transfer''s PENDING (of a hold''s APPLIED); 0: none.';
COMMENT ON COLUMN transfer_events.credits_posted IS
    'The account''s figures after the record; all three are null where the record changed nothing of the account.';
COMMENT ON COLUMN transfer_events.origin IS 'The hold of a capture or release, the original of a reversal.';

CREATE INDEX transfer_events_of_transfer ON transfer_events (transfer) WHERE transfer IS NOT NULL;
CREATE INDEX transfer_events_of_account ON transfer_events (account, sequence) WHERE debits_pending IS NOT NULL;
-- Few rows: the status of an account with a million movements is found without looking at them.
CREATE INDEX transfer_events_of_status ON transfer_events (account, sequence)
    WHERE outcome = 'APPLIED' AND kind IN ('FREEZE', 'UNFREEZE', 'CLOSE');

-- Free space in each page, so that the updates of every batch stay in it and touch no index.
CREATE TABLE account_balances (
    account        text    PRIMARY KEY REFERENCES accounts (id),
    partition      integer NOT NULL CHECK (partition >= 0),
    currency       text    NOT NULL CHECK (length(currency) = 3),
    debits_pending bigint  NOT NULL CHECK (debits_pending >= 0),
    debits_posted  bigint  NOT NULL CHECK (debits_posted >= 0),
    credits_posted bigint  NOT NULL CHECK (credits_posted >= 0),
    version        bigint  NOT NULL CHECK (version >= 1)
) WITH (fillfactor = 50);

COMMENT ON TABLE account_balances IS
    'Each account''s figures now: the sum of its transfer_events. balance = credits_posted - debits_posted.';
COMMENT ON COLUMN account_balances.version IS
    'Journal sequence (in the account''s partition) of the last change of its figures, status or limits.';

CREATE TABLE sink_positions (
    partition    integer     PRIMARY KEY CHECK (partition >= 0),
    epoch        integer     NOT NULL CHECK (epoch >= 1),
    sequence     bigint      NOT NULL CHECK (sequence >= 0),
    kafka_offset bigint      NOT NULL CHECK (kafka_offset >= -1),
    hash         bytea       NOT NULL CHECK (octet_length(hash) IN (0, 32)),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((sequence = 0) = (kafka_offset = -1) AND (sequence = 0) = (octet_length(hash) = 0))
) WITH (fillfactor = 10);

COMMENT ON TABLE sink_positions IS
    'How far each journal partition is in Postgres: changed in the same transaction as the rows, never back.';
COMMENT ON COLUMN sink_positions.sequence IS 'Journal sequence of the last record applied; 0: none yet.';
COMMENT ON COLUMN sink_positions.kafka_offset IS 'Offset of that record in the journal topic; -1: none yet.';
COMMENT ON COLUMN sink_positions.hash IS 'SHA-256 of that record''s value: tells a journal that was put in another''s place.';
COMMENT ON COLUMN sink_positions.epoch IS 'The epoch that may write here; another number than the schema''s: fenced.';
