"""autosplitc.bench."""
