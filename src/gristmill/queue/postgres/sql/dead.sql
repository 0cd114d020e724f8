-- Return dead items by queue and code: of the queue $1, the job $2, the code $3, dead before $4; each null is any.
SELECT queue, code, sum(items)::bigint AS items, min(dead_at) AS first_at, max(dead_at) AS last_at,
    (array_agg(error ORDER BY id DESC))[1] AS error
FROM gristmill.chunk
WHERE state = 'dead' AND ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR job = $2)
    AND ($3::text IS NULL OR code = $3) AND ($4::float8 IS NULL OR dead_at < $4)
GROUP BY queue, code ORDER BY sum(items) DESC, queue, code
