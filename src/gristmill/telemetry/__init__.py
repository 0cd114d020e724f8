"""What a running Gristmill tells its operators; one sink per file, each an optional extra."""
