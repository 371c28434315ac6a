-- Personal data lie sealed under a key of the member's own, which lies wrapped beside them. What was stored before waits
-- in member_plain until a process with the master key seals it, which is the first thing it does.
ALTER TABLE member RENAME TO member_plain;

-- The key stands before the profile, so that it is part of the row's page, however long the profile is.
CREATE TABLE member (
    member_id INTEGER PRIMARY KEY,
    enrolled_at INTEGER NOT NULL,
    erased_at INTEGER,
    key_id TEXT,
    wrapped_key BLOB,
    profile BLOB,
    CHECK ((key_id IS NULL) = (wrapped_key IS NULL) AND (key_id IS NULL) = (profile IS NULL))
) STRICT;
CREATE INDEX member_key ON member (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX member_ref_member ON member_ref (member_id);
