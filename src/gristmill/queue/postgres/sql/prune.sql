-- Remove up to $3 jobs that finished over $1 seconds ago, and forget leases that were settled over $2 seconds ago.
SELECT pruned, queues FROM gristmill.prune($1, $2, $3)
