"""The Python servers under test, one process each, all on uvicorn with uvloop and httptools."""
