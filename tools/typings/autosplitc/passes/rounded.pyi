from passes.rounded import *
