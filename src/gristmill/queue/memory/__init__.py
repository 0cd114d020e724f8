"""The queue in memory, for tests of users and of ours: the same semantics, gone with the process."""
