-- Pause the queue $1, or resume it, as $2 says.
INSERT INTO gristmill.queue (name, is_paused) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET is_paused = excluded.is_paused
