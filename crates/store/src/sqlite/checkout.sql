-- What a till asks again for is found by its own number; an allowance knows the one before it.
CREATE INDEX txn_checkout ON txn (reference) WHERE channel = 'checkout';
CREATE INDEX txn_allowance ON txn (member_id, txn_id) WHERE channel = 'allowance';
