-- Count the items that came for an upload.
UPDATE gristmill_job SET total = total + ?, touched_at = ? WHERE number = ?
