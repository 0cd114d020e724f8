-- Free the unique keys of those of the jobs $1 that are final.
SELECT gristmill.free_unique($1)
