-- Hold the keys $2 of the queue $1 until the transaction ends.
SELECT gristmill.lock_keys($1, $2)
