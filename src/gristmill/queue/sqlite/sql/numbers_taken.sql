-- The highest number of a job, and the highest id that a chunk ever had.
SELECT
    (SELECT coalesce(max(number), 0) FROM gristmill_job),
    (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'gristmill_chunk')
