-- Privileges and trials that hold by an order, until when: those of a member are found without reading all orders.
ALTER TABLE orders ADD COLUMN good_until INTEGER;
CREATE INDEX orders_good ON orders (member_id, good_until) WHERE good_until IS NOT NULL;
