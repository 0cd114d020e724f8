-- Hold the lease $1 for a transaction: nobody settles it or takes it over meanwhile, however long it stays idle.
SELECT id, set_config('idle_in_transaction_session_timeout', '0', true) FROM gristmill.lease WHERE id = $1 FOR UPDATE
