"""Bulk writers: a batch goes to the database in one transaction, and every row gets its own outcome.

Each database is a module of its own, so that only its own extra is needed:
``from gristmill.databases.sqlite import SqliteWriter``.
"""
