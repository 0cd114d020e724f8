-- Give the chunks of the lease $1 back; return its queue, or null if it had died.
SELECT gristmill.release($1)
