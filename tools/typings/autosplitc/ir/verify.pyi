from ir.verify import *
