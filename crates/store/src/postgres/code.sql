-- Codes that are handed out, sealed: free ones of the vault, and those of orders. A digest tells one from another; a code that
-- was set aside for an order is its own, unit by unit, and handed over once `issued_at` says when.
CREATE TABLE code (
    reward_id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    sealed TEXT,
    terms TEXT,
    origin BIGINT NOT NULL,
    added_at BIGINT NOT NULL,
    order_id BIGINT,
    member_id BIGINT,
    unit BIGINT,
    issued_at BIGINT,
    PRIMARY KEY (reward_id, digest)
);
CREATE INDEX code_free ON code (reward_id, added_at, digest) WHERE order_id IS NULL;
CREATE UNIQUE INDEX code_order ON code (reward_id, order_id, unit) WHERE order_id IS NOT NULL;
CREATE INDEX code_claimed ON code (order_id) WHERE order_id IS NOT NULL AND issued_at IS NULL;
CREATE INDEX code_member ON code (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX code_digest ON code (digest);
