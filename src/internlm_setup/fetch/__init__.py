"""From a model's name to a verified folder: `service` is the way in."""
