-- Hold the lease $1 for a transaction: nobody settles it or takes it over meanwhile.
SELECT id FROM gristmill.lease WHERE id = $1 FOR UPDATE
