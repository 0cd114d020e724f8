"""``gristmill jobs``: look at the durable queue and change it, one file for each command."""
