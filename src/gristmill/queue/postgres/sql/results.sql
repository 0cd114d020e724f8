-- Return up to $4 results of the job $1 above the number $2, of the kind $3 or any.
SELECT number, kind, places, items, body FROM gristmill.result
WHERE job = $1 AND number > $2 AND ($3::text IS NULL AND kind <> 'again' OR kind = $3) ORDER BY number LIMIT $4
