CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE document (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    effective_from INTEGER NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id, version)
) STRICT;

CREATE TABLE account (
    member_id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    available INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    next_due_at INTEGER,
    state BLOB NOT NULL
) STRICT;
CREATE INDEX account_due ON account (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE member (
    member_id INTEGER PRIMARY KEY,
    enrolled_at INTEGER NOT NULL,
    profile TEXT NOT NULL
) STRICT;

CREATE TABLE member_ref (
    kind INTEGER NOT NULL,
    digest BLOB NOT NULL,
    member_id INTEGER NOT NULL,
    PRIMARY KEY (kind, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE txn (
    txn_id INTEGER PRIMARY KEY,
    member_id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    day INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest BLOB NOT NULL,
    channel TEXT NOT NULL,
    reference TEXT,
    receipt TEXT NOT NULL,
    leaf_hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX txn_key ON txn (member_id, idempotency_key);

CREATE TABLE transfer (
    txn_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    lot_expires_at INTEGER NOT NULL,
    lot_funding INTEGER NOT NULL,
    lot_active_at INTEGER NOT NULL,
    rule TEXT,
    rule_version INTEGER,
    PRIMARY KEY (txn_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE activity (
    activity_id INTEGER PRIMARY KEY,
    member_id INTEGER NOT NULL,
    txn_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY,
    member_id INTEGER NOT NULL,
    reward_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    points INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    state INTEGER NOT NULL,
    holds BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE stock (
    reward_id TEXT PRIMARY KEY,
    initial INTEGER NOT NULL,
    restocked INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    CHECK (on_hand = initial + restocked - issued AND reserved >= 0 AND reserved <= on_hand)
) STRICT, WITHOUT ROWID;
