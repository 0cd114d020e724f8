-- Tell whether Gristmill has been in this file.
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'gristmill_schema'
