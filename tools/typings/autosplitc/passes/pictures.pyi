from passes.pictures import *
