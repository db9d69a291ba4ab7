"""Package mirrors: point pip, conda and others at a site, keep every other byte, undo exactly."""
