"""Files larger than memory: what is read, in which pieces, and where a run resumes."""
