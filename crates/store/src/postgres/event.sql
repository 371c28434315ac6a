-- What is to be told of a commit, until it is in the feed.
CREATE TABLE event (
    txn_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (member_id, txn_id, place)
);
CREATE INDEX event_txn ON event (txn_id);

-- Events under rising numbers, for whoever follows them.
CREATE TABLE feed (
    number BIGINT PRIMARY KEY,
    txn_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    told_at BIGINT NOT NULL
);
CREATE INDEX feed_told ON feed (told_at);

-- The last number given, whatever was deleted since.
CREATE TABLE feed_head (feed BIGINT PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO feed_head (feed, number) VALUES (1, 0);
