-- Free the unique key that a job held until it was final.
DELETE FROM gristmill_unique WHERE queue = ? AND key = ? AND job = ? AND until IS NULL
