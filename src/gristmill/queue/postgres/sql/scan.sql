-- Let the transaction read whole tables, which our sessions avoid.
SET LOCAL enable_seqscan = on
