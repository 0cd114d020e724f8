"""The queue in PostgreSQL: chunks claimed by ``SKIP LOCKED``, settled by one transaction a batch."""
