-- Where a reference led before its member was merged into another.
ALTER TABLE member_ref ADD COLUMN origin BIGINT;
