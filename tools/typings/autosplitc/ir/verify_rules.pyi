from ir.verify_rules import *
