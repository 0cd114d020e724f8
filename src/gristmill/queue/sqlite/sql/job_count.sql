-- Count final outcomes of a job, and note whether it is final now.
UPDATE gristmill_job SET
    succeeded = succeeded + ?1, failed = failed + ?2, cancelled = cancelled + ?3,
    finished_at = iif(
        is_receiving = 0 AND succeeded + failed + cancelled + ?1 + ?2 + ?3 >= total, coalesce(finished_at, ?4), NULL
    )
WHERE number = ?5
RETURNING queue, unique_key, number, finished_at
