-- Records of administration, of all kinds; expired ones are swept. Found by their id, so distributed by it. Texts that are
-- listed in order compare by their bytes, as in every store.
CREATE TABLE record (
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX record_subject ON record (kind, subject, id);
CREATE INDEX record_expires ON record (expires_at) WHERE expires_at IS NOT NULL;

-- The audit log: a chain of hashes over the bodies. The columns beside the body repeat it, to be searched by. Its number is
-- what nodes race for, and by which it is distributed.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_actor ON audit (actor, number);
CREATE INDEX audit_action ON audit (action, number);
CREATE INDEX audit_subject ON audit (subject, number);
