from passes.roles import *
