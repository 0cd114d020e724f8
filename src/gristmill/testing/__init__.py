"""What users need to test their own batching: nothing here runs in production."""
