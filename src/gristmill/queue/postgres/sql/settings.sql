-- Return the settings of the server, and of this session, on which it depends whether a commit lasts.
SELECT current_setting('server_version_num')::integer AS version,
    pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS is_read_only,
    current_setting('fsync')::boolean AS fsync,
    current_setting('full_page_writes')::boolean AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') AS standbys,
    current_setting('default_transaction_isolation') AS isolation,
    current_setting('server_encoding') AS encoding
