-- Every code there is, of whichever reward: a code belongs to one. Its own table, because a unique index must hold the column by
-- which its table is distributed, and codes lie beside the stock of their reward.
CREATE TABLE code_known (
    digest BYTEA NOT NULL PRIMARY KEY
);
INSERT INTO code_known (digest) SELECT DISTINCT digest FROM code;
