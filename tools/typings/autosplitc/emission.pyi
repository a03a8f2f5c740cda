from compiler.emission import *
