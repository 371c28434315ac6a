-- What members have taken together out of budgets, by window.
CREATE TABLE budget (
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    count BIGINT NOT NULL,
    points BIGINT NOT NULL,
    PRIMARY KEY (name, period, ends_at)
);
