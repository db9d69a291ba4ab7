"""What goes wrong with SSH, in words: one class a trouble."""
