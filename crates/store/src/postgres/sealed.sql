-- Personal data lie sealed under a key of the member's own, which lies wrapped beside them. What was stored before waits
-- in member_plain until a process with the master key seals it, which is the first thing it does.
ALTER TABLE member RENAME TO member_plain;

CREATE TABLE member (
    member_id BIGINT PRIMARY KEY,
    enrolled_at BIGINT NOT NULL,
    erased_at BIGINT,
    key_id TEXT,
    wrapped_key BYTEA,
    profile BYTEA,
    CHECK ((key_id IS NULL) = (wrapped_key IS NULL) AND (key_id IS NULL) = (profile IS NULL))
);
CREATE INDEX member_key ON member (key_id, member_id) WHERE key_id IS NOT NULL;
CREATE INDEX member_ref_member ON member_ref (member_id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM member_plain) THEN
        DROP TABLE member_plain;
    END IF;
END $$;
