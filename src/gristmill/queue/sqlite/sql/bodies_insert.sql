-- Store the bodies of chunks.
INSERT INTO gristmill_body (chunk, body) VALUES
(?, ?)
