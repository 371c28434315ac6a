-- An order keeps what happened to it, and when it moves by itself. The queues of people are found by their state.
ALTER TABLE orders ADD COLUMN due_at BIGINT;
ALTER TABLE orders ADD COLUMN details BYTEA NOT NULL DEFAULT '';
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_queue ON orders (state, order_id) WHERE state IN (1, 5, 6, 7, 8, 9);
