"""Routes, problems, limits and documents: every way in over HTTP."""
