from compiler.manifest import *
