from compiler.spool import *
