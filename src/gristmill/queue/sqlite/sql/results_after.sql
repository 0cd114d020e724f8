-- Return results of a job in the order of settling.
SELECT result.number, result.kind, result.places, result.items, result.body
FROM gristmill_result AS result JOIN gristmill_job AS job ON job.number = result.job
WHERE job.id = :job AND result.number > :after AND (:kind IS NULL AND result.kind <> 'again' OR result.kind = :kind)
ORDER BY result.number LIMIT :limit
