-- Return the version of the schema.
SELECT max(version) FROM gristmill_schema
