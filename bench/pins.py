"""The versions of the other gateways: nothing of theirs is in pyproject.toml, `install.py` puts it into build/peers."""

LITELLM = "1.106.1"
"""The newest whose dependencies were all published on the day of the pin."""

PORTKEY = "1.15.2"

PORTKEY_LOCKED = {"@hono/node-server": "1.13.5", "@hono/node-ws": "1.2.0", "hono": "4.9.7"}
"""From its own package-lock.json, as in its image: a later node-server fails each stream (Portkey-AI/gateway#1389)."""
