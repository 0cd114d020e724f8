-- Let the items of the upload $1 run; return its queue, or null if no such job is receiving.
SELECT gristmill.commit_upload($1)
