-- Make the file smaller by up to so many pages that hold nothing.
PRAGMA incremental_vacuum(4096)
