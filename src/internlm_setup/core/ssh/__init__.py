"""Everything that talks SSH below the features: keys, the person's configuration, host keys, connecting.

Only here and in `tunnel/engines` is paramiko imported.
"""
