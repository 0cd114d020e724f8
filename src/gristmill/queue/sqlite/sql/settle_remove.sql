-- Remove the chunks of a lease.
DELETE FROM gristmill_body WHERE chunk IN (SELECT id FROM gristmill_chunk WHERE lease = :lease);
DELETE FROM gristmill_chunk WHERE lease = :lease
