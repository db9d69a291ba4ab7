"""Package ssh_key: make an SSH key, show it, and put it where it is needed."""
