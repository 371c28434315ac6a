-- Every table of records that belong to a member has the member in its primary key and in each unique index, so that it
-- can be distributed by member; docs/scaling.md says how.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE document (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id, version)
);

-- What one node at a time holds for a while: its number, and the background jobs.
CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at BIGINT NOT NULL);

-- Room on each page, so that a new version of a row stays on it and no index is touched.
CREATE TABLE account (
    member_id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL,
    available BIGINT NOT NULL,
    last_activity_at BIGINT NOT NULL,
    next_due_at BIGINT,
    state BYTEA NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX account_due ON account (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE member (
    member_id BIGINT PRIMARY KEY,
    enrolled_at BIGINT NOT NULL,
    profile TEXT NOT NULL
);

-- Found by the digest alone, so it is distributed by the digest.
CREATE TABLE member_ref (
    kind BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    member_id BIGINT NOT NULL,
    PRIMARY KEY (kind, digest)
);

CREATE TABLE txn (
    txn_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    at BIGINT NOT NULL,
    day BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest BYTEA NOT NULL,
    channel TEXT NOT NULL,
    reference TEXT,
    receipt TEXT NOT NULL,
    leaf_hash BYTEA NOT NULL,
    PRIMARY KEY (member_id, txn_id)
);
CREATE UNIQUE INDEX txn_key ON txn (member_id, idempotency_key);
CREATE INDEX txn_latest ON txn (txn_id);

CREATE TABLE transfer (
    txn_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    day BIGINT NOT NULL,
    debit BIGINT NOT NULL,
    credit BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    lot_expires_at BIGINT NOT NULL,
    lot_funding BIGINT NOT NULL,
    lot_active_at BIGINT NOT NULL,
    rule TEXT,
    rule_version BIGINT,
    PRIMARY KEY (member_id, txn_id, position)
);

CREATE TABLE activity (
    activity_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    txn_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (member_id, activity_id)
);

CREATE TABLE orders (
    order_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    reward_id TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    points BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    state BIGINT NOT NULL,
    holds BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (member_id, order_id)
);
CREATE INDEX orders_id ON orders (order_id);

-- Changed by every node at once, by what is added and taken.
CREATE TABLE stock (
    reward_id TEXT PRIMARY KEY,
    initial BIGINT NOT NULL,
    restocked BIGINT NOT NULL,
    issued BIGINT NOT NULL,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    CHECK (on_hand = initial + restocked - issued AND reserved >= 0 AND reserved <= on_hand)
) WITH (fillfactor = 50);
