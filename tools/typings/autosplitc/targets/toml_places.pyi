from targets.toml_places import *
