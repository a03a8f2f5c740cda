from compiler.verify_bundle import *
