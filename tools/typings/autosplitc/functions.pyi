from compiler.functions import *
