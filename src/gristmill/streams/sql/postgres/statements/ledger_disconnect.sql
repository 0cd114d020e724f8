-- End the session that had the run $1, which may hold locks on it for as long as its process is paused.
SELECT pg_terminate_backend(activity.pid, 5000)
FROM gristmill.gristmill_ledger AS ledger
JOIN pg_catalog.pg_stat_activity AS activity
    ON activity.pid = ledger.session_pid AND activity.backend_start = ledger.session_start
WHERE ledger.job = $1 AND activity.pid <> pg_backend_pid()
