# While the database is away.
portal-last-known = Points and rewards as of { $time }. Redeeming is possible again in a moment; your points are safe.
portal-last-known-history = Your history is back in a moment.
portal-trouble-away = That is not possible just now
portal-trouble-away-message = Nothing was changed, and your points are safe. Please try again in a moment.
