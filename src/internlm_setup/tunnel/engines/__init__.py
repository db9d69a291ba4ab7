"""The ways to have a session: one file, one engine, each under the name `ENGINE`."""
