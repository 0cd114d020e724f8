-- Pause a queue, or resume it.
INSERT INTO gristmill_queue (name, is_paused) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET is_paused = ?2
