from targets.target_toml import *
