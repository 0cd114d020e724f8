-- Keep some items of a chunk.
UPDATE gristmill_chunk SET places = ?, items = ?, size = ? WHERE id = ?;
UPDATE gristmill_body SET body = ? WHERE chunk = ?
