-- What is to be told of a commit, until it is in the feed.
CREATE TABLE event (
    txn_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (txn_id, place)
) STRICT, WITHOUT ROWID;

-- Events under rising numbers, for whoever follows them.
CREATE TABLE feed (
    number INTEGER PRIMARY KEY,
    txn_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    told_at INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_told ON feed (told_at);

-- The last number given, whatever was deleted since.
CREATE TABLE feed_head (feed INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT;
INSERT INTO feed_head (feed, number) VALUES (1, 0);
