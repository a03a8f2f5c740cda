from compiler.profile_probes import *
