-- Two processes make the ledger one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('gristmill ledger ' || $1, 0))
