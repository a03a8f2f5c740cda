from compiler.ort_overrides import *
