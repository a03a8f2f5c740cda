from passes.walk import *
