"""A data plane of our own over one of paramiko's transports: one thread moves the bytes of every stream."""
