-- What is committed but not in the log yet: one row a batch, named by the id of its first transaction. The tables of the
-- log belong to no member; they are distributed by batch, leaf and tile.
CREATE TABLE outbox (batch_id BIGINT PRIMARY KEY, leaves BYTEA NOT NULL);

-- The batches of the log: which transactions are at which leaves. The node is that of the ids.
CREATE TABLE log_batch (
    first_leaf BIGINT PRIMARY KEY,
    node BIGINT NOT NULL,
    batch_id BIGINT NOT NULL,
    names BYTEA NOT NULL
);
CREATE INDEX log_batch_id ON log_batch (node, batch_id);

CREATE TABLE log_tile (level BIGINT NOT NULL, tile BIGINT NOT NULL, hashes BYTEA NOT NULL, PRIMARY KEY (level, tile));

CREATE TABLE log_head (log BIGINT PRIMARY KEY, size BIGINT NOT NULL, checkpoint TEXT NOT NULL);
INSERT INTO log_head (log, size, checkpoint) VALUES (1, 0, '');

-- Hashes do not compress: no time is spent on trying.
ALTER TABLE outbox ALTER COLUMN leaves SET STORAGE EXTERNAL;
ALTER TABLE log_batch ALTER COLUMN names SET STORAGE EXTERNAL;
ALTER TABLE log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- What was committed before there was a log.
INSERT INTO outbox (batch_id, leaves) SELECT txn_id, int8send(txn_id) || int8send(member_id) || leaf_hash FROM txn;
