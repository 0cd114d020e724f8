-- Remove up to $3 jobs that finished over $1 seconds ago, or are uploads that have stood still for $2.
SELECT pruned, queues FROM gristmill.prune($1, $2, $3)
