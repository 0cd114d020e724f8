"""The handlers of the stream benchmarks, one module each, so that a worker loads only what its handler needs."""
