-- The restocks of a reward are found by its id; those of former versions say none.
CREATE INDEX txn_restock ON txn (reference, txn_id) WHERE kind = 17;
