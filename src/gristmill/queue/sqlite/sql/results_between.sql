-- Return results of a job that may hold some of the places from :first to :last: their outermost places enclose them.
SELECT result.number, result.kind, result.places, result.items, result.body
FROM gristmill_result AS result JOIN gristmill_job AS job ON job.number = result.job
WHERE job.id = :job AND result.first <= :last AND result.last >= :first
ORDER BY result.number
