-- Tell whoever listens on the channel $1 that there is something in the queues $2.
SELECT pg_notify($1, queue) FROM unnest($2::text[]) AS queue
