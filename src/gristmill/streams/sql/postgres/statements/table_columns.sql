-- The columns of a table ($1: its name, quoted) that can be written: name, type, the type's category, whether in the key.
SELECT
    attribute.attname AS name,
    format_type(attribute.atttypid, attribute.atttypmod) AS type,
    kind.typcategory::text AS category,
    base.typname AS base,
    coalesce(attribute.attnum = ANY (key.indkey::smallint[]), false) AS is_key,
    array_position(key.indkey::smallint[], attribute.attnum) AS place
FROM pg_catalog.pg_attribute AS attribute
JOIN pg_catalog.pg_type AS kind ON kind.oid = attribute.atttypid
JOIN pg_catalog.pg_type AS base ON base.oid = CASE WHEN kind.typbasetype = 0 THEN kind.oid ELSE kind.typbasetype END
LEFT JOIN pg_catalog.pg_index AS key ON key.indrelid = attribute.attrelid AND key.indisprimary
WHERE attribute.attrelid = to_regclass($1)
    AND attribute.attnum > 0 AND NOT attribute.attisdropped AND attribute.attgenerated = ''
ORDER BY attribute.attnum
