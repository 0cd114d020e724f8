"""The handlers of the stream benchmarks, one module each: a worker loads only what its handler needs."""
