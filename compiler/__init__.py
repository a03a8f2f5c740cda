"""autosplitc: where to split a network between edge and cloud, and with how many bits each edge layer works."""
