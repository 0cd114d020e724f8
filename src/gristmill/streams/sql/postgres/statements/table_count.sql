-- About how many rows a table ($1: its name, quoted) has, and its bytes; -1 rows if nobody has counted yet.
SELECT reltuples::bigint AS rows, pg_relation_size(oid) AS bytes FROM pg_catalog.pg_class WHERE oid = to_regclass($1)
