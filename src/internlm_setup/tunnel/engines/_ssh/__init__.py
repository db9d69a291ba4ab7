"""SSH's connection protocol (RFC 4254) over one of paramiko's transports: what the engines share."""
