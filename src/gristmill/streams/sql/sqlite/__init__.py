"""SQLite tables and queries, by apsw."""
