"""autosplitc.runtime."""
