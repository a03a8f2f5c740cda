from passes.equalize import *
