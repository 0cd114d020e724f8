-- Remove up to $4 jobs of the queue $1 that finished over $2 seconds ago, and forget leases that were settled over $3
-- seconds ago.
SELECT pruned, queues FROM gristmill.prune($1, $2, $3, $4)
