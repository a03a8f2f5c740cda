from compiler.folder import *
