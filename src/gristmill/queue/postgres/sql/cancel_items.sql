-- Note items of the job $1 as cancelled: $2 places and $3 items, one a result, and $4 chunks that are empty now.
WITH emptied AS (
    DELETE FROM gristmill.chunk WHERE id = ANY ($4::bigint[])
), noted AS (
    INSERT INTO gristmill.result (job, kind, places, items, body)
    SELECT $1, 'cancelled', places, items, '[]' FROM unnest($2::text[], $3::integer[]) AS gone (places, items)
    RETURNING items
)
SELECT gristmill.count_cancelled($1, (SELECT sum(items) FROM noted))
