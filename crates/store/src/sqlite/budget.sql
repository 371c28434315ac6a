-- What members have taken together out of budgets, by window.
CREATE TABLE budget (
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    ends_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    points INTEGER NOT NULL,
    PRIMARY KEY (name, period, ends_at)
) STRICT, WITHOUT ROWID;
