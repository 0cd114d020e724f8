-- Cancel the job $1; wakes is its queue, if others became ready by it.
SELECT is_known, wakes FROM gristmill.cancel($1)
