"""PostgreSQL tables and queries, by asyncpg."""
