from compiler.bundle_tables import *
