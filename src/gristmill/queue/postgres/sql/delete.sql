-- Remove the final job $1. Null: there is none; false: it is not final.
SELECT gristmill.delete($1)
