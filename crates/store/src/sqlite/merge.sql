-- Where a reference led before its member was merged into another, so that a return to an earlier moment finds it again.
ALTER TABLE member_ref ADD COLUMN origin INTEGER;
