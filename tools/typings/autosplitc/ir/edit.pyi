from ir.edit import *
