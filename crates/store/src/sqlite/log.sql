-- What is committed but not in the log yet: one row a batch, named by the id of its first transaction.
CREATE TABLE outbox (batch_id INTEGER PRIMARY KEY, leaves BLOB NOT NULL) STRICT;

-- The batches of the log: which transactions are at which leaves. The node is that of the ids.
CREATE TABLE log_batch (
    first_leaf INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    batch_id INTEGER NOT NULL,
    names BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_batch_id ON log_batch (node, batch_id);

CREATE TABLE log_tile (level INTEGER NOT NULL, tile INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, tile))
    STRICT;

CREATE TABLE log_head (log INTEGER PRIMARY KEY, size INTEGER NOT NULL, checkpoint TEXT NOT NULL) STRICT;
INSERT INTO log_head (log, size, checkpoint) VALUES (1, 0, '');

-- What was committed before there was a log.
INSERT INTO outbox (batch_id, leaves)
    SELECT txn_id, unhex(printf('%016X%016X', txn_id, member_id) || hex(leaf_hash)) FROM txn;
