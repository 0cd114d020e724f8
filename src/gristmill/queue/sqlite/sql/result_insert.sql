-- Keep final outcomes.
INSERT INTO gristmill_result (job, kind, items, first, last, places, body) VALUES (?, ?, ?, ?, ?, ?, ?)
