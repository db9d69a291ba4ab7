"""The system's `ssh` as an engine: one process holds the connection, and its control socket opens what we want."""
