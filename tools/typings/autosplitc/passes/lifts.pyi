from passes.lifts import *
