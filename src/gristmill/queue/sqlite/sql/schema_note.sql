-- Note the version of the schema.
INSERT INTO gristmill_schema (version) VALUES (?)
