from targets.target_schema import *
