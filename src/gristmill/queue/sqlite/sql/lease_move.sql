-- Put the chunks of one lease under another.
UPDATE gristmill_chunk SET lease = ? WHERE lease = ?
