-- Return which of the job ids $1 exist.
SELECT id FROM gristmill.job WHERE id = ANY ($1::text[])
