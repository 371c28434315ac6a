-- What the price of a reward may depend on: its latest orders. Rewards that rules gave for nothing are no demand.
CREATE INDEX orders_demand ON orders (reward_id, created_at) WHERE points > 0;
