-- Give the chunks of a lease back as they were.
UPDATE gristmill_chunk SET state = 'ready', lease = NULL WHERE lease = ?
