-- Replace the items of chunks: $1 ids, $2 places, $3 items, $4 bodies.
UPDATE gristmill.chunk SET places = thin.places, items = thin.items, body = thin.body, size = length(thin.body)
FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bytea[]) AS thin (id, places, items, body)
WHERE chunk.id = thin.id
