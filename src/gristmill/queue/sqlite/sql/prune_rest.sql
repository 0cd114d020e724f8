-- Forget settled leases and unique keys that are of no more use.
DELETE FROM gristmill_lease WHERE settled_at IS NOT NULL AND settled_at <= :settled_before;
DELETE FROM gristmill_unique WHERE until IS NOT NULL AND until <= :now
