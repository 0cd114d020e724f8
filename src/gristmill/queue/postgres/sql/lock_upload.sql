-- Lock the row of an upload, $1; return its queue, or nothing if no such job is receiving.
SELECT queue FROM gristmill.job WHERE id = $1 AND is_receiving FOR UPDATE
