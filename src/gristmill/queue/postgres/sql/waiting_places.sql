-- Return where the items are that wait in chunks of the job $1.
SELECT id, places, key FROM gristmill.chunk WHERE job = $1 AND state NOT IN ('leased', 'dead') ORDER BY id
