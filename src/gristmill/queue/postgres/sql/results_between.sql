-- Return the results of the job $1 that hold any of the places from $2 to $3.
SELECT number, kind, places, items, body FROM gristmill.result
WHERE job = $1 AND EXISTS (
    SELECT FROM jsonb_array_elements(places::jsonb) AS run
    WHERE (run->>0)::bigint <= $3 AND (run->>0)::bigint + (run->>1)::bigint > $2
)
ORDER BY number
