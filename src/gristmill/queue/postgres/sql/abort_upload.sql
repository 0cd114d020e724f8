-- Remove the upload $1; return its queue if others became ready by it.
SELECT gristmill.abort_upload($1)
