-- Remove a chunk and its body.
DELETE FROM gristmill_body WHERE chunk = :chunk;
DELETE FROM gristmill_chunk WHERE id = :chunk
