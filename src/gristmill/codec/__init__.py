"""Between JSON and the types of handlers: msgspec's, and pydantic models without importing pydantic."""
