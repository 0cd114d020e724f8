-- The schema of a table ($1: its name, quoted); null if there is no such table.
SELECT relnamespace::regnamespace::text AS quoted, space.nspname AS name
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
WHERE class.oid = to_regclass($1)
