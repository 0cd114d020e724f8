"""How requests go out: over aiohttp, over httpx2, or to an ASGI application in this process."""
